//! A process may run on another thread after each `.await`: its future is `Send`.

use ibeam::prelude::*;
use std::rc::Rc;

fn main() {
    let shared = Rc::new(1);
    process::spawn(async move {
        process::yield_now().await;
        drop(shared);
    });
}
