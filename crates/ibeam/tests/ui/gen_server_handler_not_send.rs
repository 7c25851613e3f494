//! A handler may be moved to another thread at each `.await`: what it holds there is `Send`.

use ibeam::prelude::*;
use std::rc::Rc;

struct Server;

#[gen_server]
impl Server {
    async fn init() -> Init<Self> {
        Init::ok(Server)
    }

    #[call]
    async fn wait(&mut self) -> u8 {
        let shared = Rc::new(1);
        process::yield_now().await;
        *shared
    }
}

fn main() {}
