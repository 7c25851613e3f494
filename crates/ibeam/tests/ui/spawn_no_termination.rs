//! What a process returns is why it ended: a value that says nothing of that is none.

use ibeam::prelude::*;

fn main() {
    process::spawn(async { 42 });
}
