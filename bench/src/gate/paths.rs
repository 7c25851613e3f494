//! The hot paths, on the inline driver: one thread, so that their instructions can be counted.

use super::HotPath;

#[cfg(not(feature = "ibeam"))]
pub(super) fn go(_: HotPath, _: u64) -> Result<(), String> {
    Err("built without the feature `ibeam`".into())
}

#[cfg(feature = "ibeam")]
pub(super) use ours::go;

#[cfg(feature = "ibeam")]
mod ours {
    use std::time::Duration;

    use ibeam::inline::Inline;
    use ibeam::prelude::*;

    use super::HotPath;
    use crate::check::{Wrong, equal};

    /// Goes `path` so many times.
    ///
    /// # Errors
    /// When a result was wrong.
    pub(in crate::gate) fn go(path: HotPath, count: u64) -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let walk = async move {
            match path {
                HotPath::Send => send(count).await,
                HotPath::SendReceive => send_receive(count).await,
                HotPath::Call => call(count).await,
                HotPath::SpawnExit => spawn_exit(count).await,
                HotPath::Timer => timer(count).await,
                HotPath::Lookup => lookup(count).await,
                HotPath::Restart => restart(count).await,
                HotPath::Register => register(count).await,
                HotPath::Task => task(count).await,
                HotPath::Child => child(count).await,
            }
        };
        runtime.block_on(Inline::new().run(walk)).map_err(|wrong| wrong.to_string())
    }

    /// The receiver has no turn before this returns, so all stays in its inbox.
    async fn send(count: u64) -> Result<(), Wrong> {
        let idle = process::spawn(std::future::pending::<()>());
        for i in 0..count {
            idle.send(i);
        }
        Ok(())
    }

    async fn send_receive(count: u64) -> Result<(), Wrong> {
        let me = process::self_pid();
        for i in 0..count {
            me.send(i);
            let came = receive! { number: u64 => number };
            equal("message", came, i)?;
        }
        Ok(())
    }

    /// A server with one number, which crashes when it is told to and says when it is there.
    struct Server {
        total: u64,
    }

    /// A server has started: its pid.
    struct Up(Pid);

    #[gen_server]
    impl Server {
        async fn init(client: Pid) -> Init<Self> {
            client.send(Up(process::self_pid()));
            Init::ok(Server { total: 0 })
        }

        #[call]
        async fn add(&mut self, by: u64) -> u64 {
            self.total += by;
            self.total
        }

        #[cast]
        async fn crash(&mut self) {
            // No message and no hook: what is counted is the unwinding, and what follows from it.
            std::panic::resume_unwind(Box::new("as it was told"));
        }
    }

    async fn call(count: u64) -> Result<(), Wrong> {
        let server =
            Server::start(process::self_pid()).await.map_err(|error| Wrong::failed("start", error))?;
        for i in 0..count {
            let total = server.add(1).await.map_err(|error| Wrong::failed("call", error))?;
            equal("reply", total, i + 1)?;
        }
        Ok(())
    }

    async fn spawn_exit(count: u64) -> Result<(), Wrong> {
        for _ in 0..count {
            let (pid, monitor) = process::spawn_monitor(async {});
            receive! { down: Down => {
                equal("who ended", down.pid(), Some(pid))?;
                equal("monitor", down.monitor, monitor)?;
            } }
        }
        Ok(())
    }

    async fn timer(count: u64) -> Result<(), Wrong> {
        let me = process::self_pid();
        for i in 0..count {
            let timer = process::send_after(me, i, Duration::from_secs(5));
            equal("was there to be cancelled", timer.cancel().is_some(), true)?;
        }
        Ok(())
    }

    async fn lookup(count: u64) -> Result<(), Wrong> {
        let me = process::self_pid();
        process::register("gate", me).map_err(|error| Wrong::failed("register", error))?;
        for _ in 0..count {
            equal("found", process::whereis("gate"), Some(me))?;
        }
        Ok(())
    }

    async fn restart(count: u64) -> Result<(), Wrong> {
        crate::systems::ibeam::silence_reports()?;
        let client = process::self_pid();
        let spec = ChildSpec::server("server", move || Server::start_link(client));
        let _supervisor = Supervisor::new(Strategy::OneForOne)
            .intensity(2 * count as usize, Duration::from_secs(3_600))
            .child(spec)
            .start_link()
            .await
            .map_err(|error| Wrong::failed("start", error))?;
        let mut server = ServerRef::<Server>::of(receive! { Up(pid) => pid });
        for i in 0..count {
            server.crash();
            server = ServerRef::of(receive! { Up(pid) => pid });
            let total = server.add(i).await.map_err(|error| Wrong::failed("call", error))?;
            equal("reply", total, i)?;
        }
        Ok(())
    }

    async fn register(count: u64) -> Result<(), Wrong> {
        let failed = |error| Wrong::failed("registry", error);
        let names = Registry::<u64, ()>::unique("names").start_link().await.map_err(failed)?;
        for key in 0..count {
            names.register(key, ()).map_err(|error| Wrong::failed("register", error))?;
            names.unregister(&key);
        }
        equal("keys left", names.count(), 0)
    }

    async fn task(count: u64) -> Result<(), Wrong> {
        for i in 0..count {
            let outcome = Task::spawn(async move { i }).await;
            equal("outcome", outcome.map_err(|error| Wrong::failed("task", error))?, i)?;
        }
        Ok(())
    }

    async fn child(count: u64) -> Result<(), Wrong> {
        let failed = |error| Wrong::failed("start", error);
        let client = process::self_pid();
        let supervisor = DynamicSupervisor::spec().start_link().await.map_err(failed)?;
        for _ in 0..count {
            let spec = ChildSpec::server("server", move || Server::start_link(client));
            let child = supervisor.start_child(spec).await;
            let child = child.map_err(|error| Wrong::failed("start_child", error))?;
            let up = receive! { Up(pid) => pid };
            equal("who is up", child.pid, Some(up))?;
            let terminated = supervisor.terminate_child(up).await;
            terminated.map_err(|error| Wrong::failed("terminate_child", error))?;
        }
        Ok(())
    }
}
