//! Messages go to other threads.

use ibeam::prelude::*;
use std::rc::Rc;

fn send(pid: Pid) {
    pid.send(Rc::new(1));
}

fn main() {}
