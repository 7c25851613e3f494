//! What an idle server costs.

use ibeam::prelude::*;

struct Sum {
    total: u64,
}

#[gen_server(client = pub(crate) SumClient)]
impl Sum {
    async fn init(total: u64) -> Init<Self> {
        Init::ok(Sum { total })
    }

    #[call]
    async fn add(&mut self, by: u64) -> u64 {
        self.total += by;
        self.total
    }

    #[cast]
    async fn feed(&mut self, by: u64) {
        self.total += by;
    }

    #[cast]
    async fn finish(&mut self, by: u64) -> Next {
        self.total += by;
        Next::stop(ExitReason::Normal)
    }
}

/// The block of a process has 128 bytes, and the future that waits for the next message has to make do with the rest: the
/// state, and what the largest handler keeps while it waits. With what the allocator and a handle add, that is well below
/// the 350 bytes that a million idle servers may take each.
#[test]
fn an_idle_server_with_one_number_is_small() {
    let bytes = Runtime::new().block_on(async {
        let sum = Sum::start(1).await.unwrap();
        sum.feed(2);
        assert_eq!(sum.add(3).await, Ok(6));
        let info = process::info(sum.pid().unwrap()).await.unwrap();
        sum.finish(0);
        info.memory_bytes
    });
    assert!(bytes <= 256, "an idle server takes {bytes} bytes");
    assert!(size_of::<ServerRef<Sum>>() <= 24);
}
