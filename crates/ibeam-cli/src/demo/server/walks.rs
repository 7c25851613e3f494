//! KEYS and SCAN: a task for each, which goes over the shards in small steps and tells its connection the reply.

use std::sync::Arc;

use ibeam::prelude::*;

use super::super::plan::ShardCall;
use super::super::resp::{ErrorReply, Reply};
use super::super::walk::Walk;
use super::ask::{RESTART_LOOK, RESTART_PATIENCE, ask};
use super::context::Context;

/// The name of the tasks' supervisor.
pub(super) const NAME: &str = "walks";

/// Has a task walk; the reply.
///
/// Not linked: its crash is an error here. A connection that ends before its walk leaves it to end by itself.
pub(super) async fn reply(context: &Arc<Context>, walk: Walk) -> Reply {
    let give_up = process::now() + RESTART_PATIENCE;
    let task = loop {
        match context.walks.spawn_nolink(run(Arc::clone(context), walk.clone())).await {
            Ok(task) => break task,
            // It is being restarted.
            Err(DynamicStartError::Call(CallError::NoProc { .. })) if process::now() < give_up => {
                process::sleep(RESTART_LOOK).await;
            }
            Err(error) => return ErrorReply::from(format!("ERR {NAME}: {error}")).into(),
        }
    };
    match task.timeout(Timeout::Infinity).await {
        Ok(reply) => reply,
        Err(error) => ErrorReply::from(format!("ERR {NAME}: {error}")).into(),
    }
}

async fn run(context: Arc<Context>, mut walk: Walk) -> Reply {
    while let Some((shard, request)) = walk.next_step() {
        let call = ShardCall { shard, batch: smallvec::smallvec![request] };
        match ask(&context, call).await.map(|mut reply| reply.pop()) {
            Ok(Some(reply)) => walk.absorb(reply),
            Ok(None) => unreachable!("a shard answers every request"),
            Err(error) => return error.into(),
        }
    }
    walk.into_reply()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser;
    use ibeam::sim::Simulation;

    use super::super::super::keyspace::KeyHasher;
    use super::super::super::options::Cli;
    use super::super::super::shard::{ShardReply, ShardRequest};
    use super::super::super::small_bytes::SmallBytes;
    use super::super::super::walk::STEP;
    use super::super::shard_server::ShardServerClient;
    use super::super::tree;
    use super::*;

    const STEPS: usize = 20;
    const KEYS: usize = STEPS * STEP;

    fn keys() -> impl Iterator<Item = SmallBytes> {
        (0..KEYS).map(|number| SmallBytes::from(format!("key {number}")))
    }

    /// A server with one shard, in which these keys are, and without a supervisor of walks.
    async fn server(hasher: &KeyHasher) -> Arc<Context> {
        let options = Cli::try_parse_from(["ibeam", "--shards=1"]).expect("valid").into_demo();
        let address = options.listen;
        let context = Arc::new(Context::new(options, address));
        tree::shards(&context).start_link().await.expect("they start");
        let pairs = keys().map(|name| (hasher.key(name.clone()), name)).collect();
        let reply = context.shards[0].run(smallvec::smallvec![ShardRequest::Mset(pairs)]).await;
        assert_eq!(reply.expect("set").pop(), Some(ShardReply::Count(KEYS)));
        context
    }

    /// The reply to KEYS, which another process has asked for.
    fn ask_keys(context: &Arc<Context>) -> Task<Reply> {
        let (context, walk) = (Arc::clone(context), Walk::keys(&context.settings.router, "key *[05]".into()));
        Task::spawn(async move { reply(&context, walk).await })
    }

    #[test]
    fn who_comes_behind_keys_is_served_before_it_is_done() {
        for seed in 0..20 {
            Simulation::new(seed).run(async move {
                let hasher = KeyHasher::default();
                let context = server(&hasher).await;
                TaskSupervisor::new(NAME).start_link().await.expect("it starts");
                let mut walk = ask_keys(&context);
                // From here on the walk is on its way.
                while context.walks.children().await.expect("it runs").is_empty() {}
                let (mut served, key) = (0, hasher.key("key 7".into()));
                let reply = loop {
                    let request = ShardRequest::Exists(vec![key.clone()]);
                    let found = context.shards[0].run(smallvec::smallvec![request]).await;
                    assert_eq!(found.expect("served").pop(), Some(ShardReply::Count(1)));
                    if let Some(reply) = walk.yield_for(Duration::ZERO).await {
                        break reply.expect("a reply");
                    }
                    served += 1;
                };
                assert!(served >= STEPS / 4, "seed {seed}: {served} others were served meanwhile");
                let Reply::Array(found) = reply else { panic!("{reply:?}") };
                assert_eq!(found.len(), KEYS / 5);
            });
        }
    }

    #[test]
    fn a_walk_that_crashes_is_an_error_and_one_without_a_supervisor_waits_for_it() {
        for seed in 0..20 {
            Simulation::new(seed).run(async move {
                let context = server(&KeyHasher::default()).await;
                let early = ask_keys(&context);
                process::sleep(RESTART_PATIENCE / 2).await;
                TaskSupervisor::new(NAME).start_link().await.expect("it starts");
                assert!(matches!(early.await, Ok(Reply::Array(found)) if found.len() == KEYS / 5));

                let walk = ask_keys(&context);
                let pid = loop {
                    if let Some(pid) = context.walks.children().await.expect("it runs").pop() {
                        break pid;
                    }
                };
                process::kill(pid);
                let Ok(Reply::Error(error)) = walk.await else { panic!("seed {seed}: expected an error") };
                assert!(error.to_string().starts_with("ERR walks: "), "{error}");
            });
        }
    }
}
