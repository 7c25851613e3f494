//! A closure that makes a child's arguments anew is as good as a copy of them; one that gives them away is not.

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
    let _ = ChildSpec::server("anew", || Server::start_link(Config));
    let config = Config;
    let _ = ChildSpec::server("once", move || Server::start_link(config));
}
