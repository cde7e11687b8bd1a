//! The size of what is shipped.

use std::path::Path;

use super::page;
use crate::Error;

pub(crate) fn run(binary: &Path) -> Result<(), Error> {
    let bytes = std::fs::metadata(binary)?.len();
    page::put(
        "size",
        "Size",
        &[
            ("the one stripped binary", format!("{:.1} MB", bytes as f64 / 1e6)),
            ("promised", "30 MB".to_owned()),
        ],
    )
}
