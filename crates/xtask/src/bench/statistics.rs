//! Medians.

/// The middle of several rounds, and the span they lie in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Median {
    pub(crate) middle: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

/// None of nothing.
pub(crate) fn median(rounds: &[f64]) -> Option<Median> {
    let mut sorted = rounds.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (least, most) = (*sorted.first()?, *sorted.last()?);
    let half = sorted.len() / 2;
    let middle =
        if sorted.len() % 2 == 1 { sorted[half] } else { f64::midpoint(sorted[half - 1], sorted[half]) };
    Some(Median { middle, least, most })
}

impl Median {
    /// As a cell of a table.
    pub(crate) fn cell(&self, digits: usize, unit: &str) -> String {
        format!("{:.digits$}{unit} ({:.digits$}–{:.digits$})", self.middle, self.least, self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_of_the_rounds() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(Median { middle: 2.0, least: 1.0, most: 3.0 }));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]).unwrap().middle, 2.5);
        assert_eq!(median(&[1.0, 1.0, 2.5]).unwrap().cell(1, " ms"), "1.0 ms (1.0–2.5)");
    }
}
