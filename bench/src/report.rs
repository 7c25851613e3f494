//! The report: docs/benchmarks.md and its charts, from the JSON lines of a run. No number in it is typed by hand.

mod charts;
mod page;
mod promise;

use std::fs;
use std::path::Path;

use crate::record::Results;

/// Where the charts are, below the page's own directory.
const CHARTS: &str = "benchmarks";

/// Writes `benchmarks.md` and `benchmarks/*.svg` into the directory `to`.
///
/// # Errors
/// When the lines are not a run's, or something cannot be read or written.
pub(crate) fn write(file: &Path, to: &Path) -> Result<(), String> {
    let results = Results::read(file)?;
    let run =
        results.run().ok_or_else(|| format!("{}: the first line of a run is missing", file.display()))?;
    let directory = to.join(CHARTS);
    // Charts of workloads that this run does not have would stand beside a page that does not show them.
    if directory.exists() {
        fs::remove_dir_all(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    }
    fs::create_dir_all(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let mut links = Vec::new();
    for (name, figure, bars) in charts::all(&results) {
        let path = directory.join(format!("{name}.svg"));
        let svg = charts::draw(figure, &bars)?;
        fs::write(&path, svg).map_err(|error| format!("{}: {error}", path.display()))?;
        links.push(format!("![{}]({CHARTS}/{name}.svg)", figure.name));
    }
    let page = to.join("benchmarks.md");
    fs::write(&page, page::page(run, &results, &links))
        .map_err(|error| format!("{}: {error}", page.display()))?;
    println!("{} and {} charts in {}", page.display(), links.len(), directory.display());
    Ok(())
}
