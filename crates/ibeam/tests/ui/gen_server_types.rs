//! The parts of a server do not fit each other.

use ibeam::prelude::*;

struct WrongInit;

#[gen_server]
impl WrongInit {
    async fn init() -> WrongInit {
        WrongInit
    }
}

struct WrongFrom;

#[gen_server]
impl WrongFrom {
    async fn init() -> Init<Self> {
        Init::ok(WrongFrom)
    }

    #[call]
    async fn later(&mut self, from: CallFrom<u8>) -> Reply<u16> {
        from.reply(1);
        Reply::later()
    }
}

fn main() {}
