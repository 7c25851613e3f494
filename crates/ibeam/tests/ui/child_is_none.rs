//! A supervisor says what it takes as a child.

use ibeam::prelude::*;

struct Helper;

struct Server;

#[gen_server]
impl Server {
    async fn init() -> Init<Self> {
        Init::ok(Server)
    }
}

fn main() {
    let _ = Supervisor::new(Strategy::OneForOne).child("a string");
    let _ = Supervisor::new(Strategy::OneForOne).child(Server);
    let _ = Helper::child(());
    let _ = Server::child(()).significant(Restart::Permanent);
}
