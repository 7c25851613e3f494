//! Requests that the server has no handler for, where it has a single one of each kind.

use ibeam::prelude::*;

struct Counter;
struct Question;

#[gen_server]
impl Counter {
    async fn init() -> Init<Self> {
        Init::ok(Counter)
    }

    #[call]
    async fn get(&mut self) -> u64 {
        0
    }

    #[cast]
    async fn reset(&mut self) {}

    #[info]
    async fn tick(&mut self, _: u8) {}
}

fn asks(counter: &ServerRef<Counter>) {
    let _ = counter.call(Question);
    counter.cast(Question);
    counter.send(Question);
}

fn main() {}
