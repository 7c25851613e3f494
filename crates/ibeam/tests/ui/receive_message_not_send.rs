//! A message that is not `Send` cannot have been sent.

use ibeam::prelude::*;
use std::rc::Rc;

struct Shared(Rc<u8>);

async fn never() {
    receive! { Shared(value) => drop(value) }
}

fn main() {}
