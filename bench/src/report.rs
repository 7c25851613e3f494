//! The report: docs/benchmarks.md and its charts, from the JSON lines of runs. No number in it is typed by hand.

mod causes;
mod charts;
mod curves;
mod page;
mod promise;

use std::fs;
use std::path::{Path, PathBuf};

use crate::record::Results;
use crate::workloads::Figure;

/// Where the charts are, below the page's own directory.
const CHARTS: &str = "benchmarks";

/// Writes `benchmarks.md` and `benchmarks/*.svg` into the directory `to`.
///
/// # Errors
/// When the lines are not a run's, or something cannot be read or written.
pub(crate) fn write(files: &[PathBuf], to: &Path) -> Result<(), String> {
    let mut results = Results::default();
    for file in files {
        let read = Results::read(file)?;
        if read.run().is_none() {
            return Err(format!("{}: the first line of a run is missing", file.display()));
        }
        results.append(read);
    }
    let run = results.run().ok_or("a report needs a run")?;
    let directory = to.join(CHARTS);
    // Charts of workloads that this run does not have would stand beside a page that does not show them.
    if directory.exists() {
        fs::remove_dir_all(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    }
    fs::create_dir_all(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let save = |name: &str, figure: &Figure, svg: String| {
        let path = directory.join(format!("{name}.svg"));
        fs::write(&path, svg).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok::<_, String>(format!("![{}]({CHARTS}/{name}.svg)", figure.name))
    };
    let mut links = page::Links::default();
    for (name, figure, bars) in charts::all(&results) {
        links.workloads.push(save(&name, figure, charts::draw(figure, &bars)?)?);
    }
    for (name, figure, curves) in curves::all(&results) {
        links.sweeps.push(save(&name, figure, curves::draw(figure, &curves)?)?);
    }
    let page = to.join("benchmarks.md");
    fs::write(&page, page::page(run, &results, &links))
        .map_err(|error| format!("{}: {error}", page.display()))?;
    let charts = links.workloads.len() + links.sweeps.len();
    println!("{} and {charts} charts in {}", page.display(), directory.display());
    Ok(())
}
