//! What `#[gen_server]` and its marks refuse.

use ibeam::prelude::*;

struct NoInit;

#[gen_server]
impl NoInit {
    #[call]
    async fn get(&mut self) -> u8 {
        1
    }
}

struct ByValue;

#[gen_server]
impl ByValue {
    async fn init() -> Init<Self> {
        Init::ok(ByValue)
    }

    #[call]
    async fn get(self) -> u8 {
        1
    }
}

struct Borrows;

#[gen_server]
impl Borrows {
    async fn init() -> Init<Self> {
        Init::ok(Borrows)
    }

    #[call]
    async fn len(&mut self, text: &str) -> usize {
        text.len()
    }

    #[cast]
    async fn len(&mut self) {}
}

struct NoServer;

impl NoServer {
    #[ibeam::call]
    async fn get(&mut self) -> u8 {
        1
    }
}

#[gen_server]
struct NoImplBlock;

fn main() {}
