//! Requests and replies go from process to process, so both are `Send`.

use ibeam::prelude::*;
use std::rc::Rc;

struct Server;

#[gen_server]
impl Server {
    async fn init() -> Init<Self> {
        Init::ok(Server)
    }

    #[cast]
    async fn take(&mut self, shared: Rc<u8>) {
        drop(shared);
    }

    #[call]
    async fn give(&mut self) -> Rc<u8> {
        Rc::new(1)
    }
}

fn main() {}
