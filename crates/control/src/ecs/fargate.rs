//! Task sizes that Fargate runs ("Task definition parameters for Fargate", section "Task size").

use wire::ApiError;

use super::client;

/// A task's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    /// In units of 1/1024 of a core.
    pub(crate) cpu: u32,
    /// In MiB.
    pub(crate) memory: u32,
}

/// Reads and checks a task's size. Both are numbers, or numbers with a unit (`.25 vCPU`, `0.5 GB`).
///
/// # Errors
/// In ECS's words, when a value is missing, no number, or no size that Fargate has.
pub(crate) fn size(cpu: Option<&str>, memory: Option<&str>) -> Result<Size, ApiError> {
    let given = |value: Option<&str>, name: &str| {
        let value = value.map(str::trim).filter(|value| !value.is_empty()).map(str::to_owned);
        value.ok_or_else(|| client(format!("Fargate requires that '{name}' be defined at the task level.")))
    };
    let (cpu_text, memory_text) = (given(cpu, "cpu")?, given(memory, "memory")?);
    let wrong = |name: &str| {
        client(format!(
            "Invalid '{name}' setting for task. For more information, see the Troubleshooting section of the Amazon ECS Developer Guide."
        ))
    };
    let cpu = units(&cpu_text, "vcpu").ok_or_else(|| wrong("cpu"))?;
    let memory = units(&memory_text, "gb").ok_or_else(|| wrong("memory"))?;
    let range = |from: u32, to: u32, step: u32| (from..=to).contains(&memory) && memory.is_multiple_of(step);
    let fits = match cpu {
        256 => matches!(memory, 512 | 1024 | 2048),
        512 => range(1024, 4096, 1024),
        1024 => range(2048, 8192, 1024),
        2048 => range(4096, 16384, 1024),
        4096 => range(8192, 30720, 1024),
        8192 => range(16384, 61440, 4096),
        16384 => range(32768, 122_880, 8192),
        _ => return Err(wrong("cpu")),
    };
    if !fits {
        return Err(client(format!(
            "No Fargate configuration exists for given values: {cpu} CPU, {memory} memory. See the Amazon ECS documentation for the valid values."
        )));
    }
    Ok(Size { cpu, memory })
}

/// A plain number, or one in the thousand-and-twenty-fourfold unit.
fn units(text: &str, unit: &str) -> Option<u32> {
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let lower = text.to_ascii_lowercase();
    let number = lower.strip_suffix(unit)?.trim();
    let number = if number.starts_with('.') { format!("0{number}") } else { number.to_owned() };
    let (whole, fraction) = number.split_once('.').unwrap_or((&number, "0"));
    // At most three digits behind the point: 0.125 is as fine as sizes are.
    let digits = fraction.len();
    if digits > 3 || whole.len() > 4 || !fraction.bytes().chain(whole.bytes()).all(|b| b.is_ascii_digit()) {
        return None;
    }
    let thousandth: u32 = format!("{whole}{fraction:0<3}").parse().ok()?;
    let units = thousandth.checked_mul(1024)?;
    units.is_multiple_of(1000).then_some(units / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_fargate_has_are_taken_in_either_spelling() {
        for (cpu, memory, expected) in [
            ("256", "512", (256, 512)),
            (".25 vCPU", "0.5 GB", (256, 512)),
            ("0.5vcpu", "1GB", (512, 1024)),
            ("1 vCPU", "8 GB", (1024, 8192)),
            ("16384", "122880", (16384, 122_880)),
        ] {
            let size = size(Some(cpu), Some(memory)).unwrap();
            assert_eq!((size.cpu, size.memory), expected, "{cpu} {memory}");
        }
    }

    #[test]
    fn other_sizes_are_refused_in_ecs_s_words() {
        for (cpu, memory, words) in [
            (None, Some("512"), "Fargate requires that 'cpu' be defined at the task level."),
            (Some("256"), None, "Fargate requires that 'memory' be defined at the task level."),
            (Some("300"), Some("512"), "Invalid 'cpu' setting for task."),
            (Some("a lot"), Some("512"), "Invalid 'cpu' setting for task."),
            (Some("256"), Some("0.1234 GB"), "Invalid 'memory' setting for task."),
            (
                Some("256"),
                Some("4096"),
                "No Fargate configuration exists for given values: 256 CPU, 4096 memory.",
            ),
            (Some("8192"), Some("17408"), "No Fargate configuration exists"),
        ] {
            let error = size(cpu, memory).unwrap_err();
            assert_eq!(error.code, "ClientException");
            assert!(error.message.starts_with(words), "{cpu:?} {memory:?}: {}", error.message);
        }
    }
}
