//! Requests that the server has no handler for.

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

    #[call]
    async fn add(&mut self, by: u64) -> u64 {
        by
    }

    #[cast]
    async fn subtract(&mut self, _by: u64) {}

    #[info]
    async fn tock(&mut self, _: u16) {}
}

struct NoServer;

async fn asks(counter: ServerRef<Counter>) {
    let _ = counter.call(Question).await;
    counter.cast(Question);
    counter.send(Question);
    let _ = ServerRef::<NoServer>::named("nobody");
}

fn main() {}
