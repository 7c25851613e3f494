//! A supervisor starts a child again from its first arguments, so it keeps a copy of them.

use ibeam::prelude::*;

struct Config;

struct Server;

#[gen_server]
impl Server {
    async fn init(_config: Config) -> Init<Self> {
        Init::ok(Server)
    }
}

fn main() {
    let _ = Supervisor::new(Strategy::OneForOne).child(Server::child(Config));
}
