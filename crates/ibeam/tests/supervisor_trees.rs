//! Random trees against a small model of what a supervisor is to do, under the simulator.
//!
//! A run makes a tree of up to three levels of supervisors and does random things to it: children exit, are killed, added, terminated,
//! restarted and deleted; their `init` and `terminate` panic. After each step, when nothing moves any more, tree and model have
//! to agree: which children there are, in which order, which of them run, and everything that was started and stopped on the way, in
//! order. A process that is alive without being in the model is an orphan; of a child there is never more than one process.
//!
//! `IBEAM_SEED=n` runs one seed. `IBEAM_SEEDS=n` sets how many of them, 10,000 by default.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ibeam::prelude::*;
use ibeam::sim::Simulation;
use ibeam::supervisor::{AutoShutdown, Backoff, Significant};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// So long that nothing moves any more after it: the slowest thing here takes some seconds.
const SETTLED: Duration = Duration::from_secs(100);

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, count: usize) -> usize {
        (self.next() % count as u64) as usize
    }

    fn one_of<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// What the workers of a run share: what they are to do wrong, and what has happened.
#[derive(Default)]
struct World {
    /// So many of its next starts fail.
    failures: BTreeMap<String, u32>,
    /// `+id` a start, `!id` one that failed, `-id` a stop that was asked for.
    log: Vec<String>,
    alive: BTreeMap<String, usize>,
    /// More than one process of a child at once, and which.
    twice: Option<String>,
}

impl World {
    fn fails(&mut self, id: &str) -> bool {
        match self.failures.get_mut(id) {
            Some(left) if *left > 0 => {
                *left -= 1;
                true
            }
            _ => false,
        }
    }
}

/// What a worker does when it is asked to stop.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Manners {
    /// Ends by the signal.
    Plain,
    /// Says good-bye.
    Polite,
    /// Says good-bye and panics.
    Clumsy,
    /// Says good-bye, and takes longer than it is given.
    Slow,
}

/// A worker of the real tree.
struct Worker {
    given: Given,
    told: bool,
}

#[derive(Clone)]
struct Given {
    world: Arc<Mutex<World>>,
    id: String,
    manners: Manners,
}

/// To a worker: end, how?
struct End(How);

#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    Normal,
    Shutdown,
    Exit,
    Panic,
    Kill,
}

impl GenServer for Worker {
    type Args = Given;

    async fn init(given: Given) -> Init<Self> {
        let fails = {
            let mut world = given.world.lock().unwrap();
            let fails = world.fails(&given.id);
            let sign = if fails { '!' } else { '+' };
            world.log.push(format!("{sign}{}", given.id));
            fails
        };
        assert!(!fails, "in init");
        process::trap_exit(given.manners != Manners::Plain);
        {
            let mut world = given.world.lock().unwrap();
            let alive = world.alive.entry(given.id.clone()).or_default();
            *alive += 1;
            if *alive > 1 {
                world.twice = Some(given.id.clone());
            }
        }
        Init::ok(Worker { given, told: false })
    }

    async fn handle_info(&mut self, message: Message) -> Next {
        let Ok(End(how)) = message.downcast::<End>() else { return Next::go_on() };
        self.told = true;
        match how {
            How::Normal => Next::stop(ExitReason::Normal),
            How::Shutdown => Next::stop(ExitReason::Shutdown),
            How::Exit => process::exit(ExitReason::other("told to")),
            How::Panic => panic!("told to"),
            How::Kill => {
                process::kill(process::self_pid());
                Next::go_on()
            }
        }
    }

    async fn terminate(&mut self, reason: &ExitReason) {
        if self.told || *reason != ExitReason::Shutdown {
            return;
        }
        self.given.world.lock().unwrap().log.push(format!("-{}", self.given.id));
        match self.given.manners {
            Manners::Clumsy => panic!("in terminate"),
            Manners::Slow => process::sleep(Duration::from_secs(10)).await,
            Manners::Plain | Manners::Polite => {}
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let mut world = self.given.world.lock().unwrap();
        *world.alive.get_mut(&self.given.id).expect("it was counted") -= 1;
    }
}

/// A child as it is to be: the same for the real tree and for the model.
#[derive(Clone)]
struct Plan {
    id: String,
    restart: Restart,
    significant: bool,
    what: What,
}

#[derive(Clone)]
enum What {
    Worker(Manners),
    Tree(TreePlan),
}

#[derive(Clone)]
struct TreePlan {
    strategy: Strategy,
    max_restarts: usize,
    mode: AutoShutdown,
    children: Vec<Plan>,
}

/// What a run may do.
#[derive(Clone, Copy)]
struct Rules {
    /// Supervisors are killed. Their children end by themselves then, beside what is started in their place: nobody stops them in order.
    kills_supervisors: bool,
}

fn a_tree(random: &mut Random, rules: Rules, id: &str, level: usize) -> TreePlan {
    let mode = random.one_of(&[
        AutoShutdown::Never,
        AutoShutdown::Never,
        AutoShutdown::AnySignificant,
        AutoShutdown::AllSignificant,
    ]);
    let count = 1 + random.below(3);
    let mut tree = TreePlan {
        strategy: random.one_of(&[Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne]),
        max_restarts: random.below(5),
        mode,
        children: Vec::new(),
    };
    for at in 0..count {
        let child = a_child(random, rules, &format!("{id}.{at}"), level, mode);
        tree.children.push(child);
    }
    tree
}

fn a_child(random: &mut Random, rules: Rules, id: &str, level: usize, mode: AutoShutdown) -> Plan {
    let restart =
        random.one_of(&[Restart::Permanent, Restart::Permanent, Restart::Transient, Restart::Temporary]);
    let what = if level < 3 && random.chance(40) {
        What::Tree(a_tree(random, rules, id, level + 1))
    } else {
        let all = [Manners::Plain, Manners::Polite, Manners::Clumsy, Manners::Slow];
        // One that lingers would still be there when the child of a killed supervisor's successor starts.
        What::Worker(random.one_of(if rules.kills_supervisors { &all[..3] } else { &all }))
    };
    let significant = mode != AutoShutdown::Never && restart != Restart::Permanent && random.chance(50);
    Plan { id: id.to_owned(), restart, significant, what }
}

// The real tree.

fn supervisor(plan: &TreePlan, world: &Arc<Mutex<World>>) -> Supervisor {
    Supervisor::new(plan.strategy)
        // Every restart of a run counts.
        .intensity(plan.max_restarts, 10_000 * DAY)
        .auto_shutdown(plan.mode)
        .children(plan.children.iter().map(|child| spec(child, world)))
}

fn spec(plan: &Plan, world: &Arc<Mutex<World>>) -> ChildSpec {
    let spec = match &plan.what {
        What::Worker(manners) => {
            let given = Given { world: Arc::clone(world), id: plan.id.clone(), manners: *manners };
            let spec: ChildSpec = Worker::child(given).id(plan.id.as_str()).into();
            spec.shutdown(Duration::from_secs(1))
        }
        What::Tree(tree) => supervisor(tree, world).into_child(plan.id.as_str()),
    };
    match (plan.significant, plan.restart) {
        (true, Restart::Transient) => spec.significant(Significant::Transient),
        (true, Restart::Temporary) => spec.significant(Significant::Temporary),
        (_, restart) => spec.restart(restart),
    }
}

// The model. It has no processes, no messages and no time: what happens, happens at once.

struct Node {
    plan: Plan,
    live: Option<Live>,
}

enum Live {
    Worker,
    Tree(Tree),
}

struct Tree {
    plan: TreePlan,
    restarts: usize,
    children: Vec<Node>,
}

impl Node {
    fn start(plan: &Plan, world: &mut World) -> Option<Live> {
        match &plan.what {
            What::Worker(_) => {
                let fails = world.fails(&plan.id);
                world.log.push(format!("{}{}", if fails { '!' } else { '+' }, plan.id));
                (!fails).then_some(Live::Worker)
            }
            What::Tree(tree) => Tree::start(tree, world).map(Live::Tree),
        }
    }

    fn start_again(&mut self, world: &mut World) -> bool {
        self.live = Self::start(&self.plan, world);
        self.live.is_some()
    }

    fn stop(&mut self, world: &mut World) {
        match self.live.take() {
            Some(Live::Tree(mut tree)) => tree.stop(world),
            Some(Live::Worker) if !matches!(self.plan.what, What::Worker(Manners::Plain)) => {
                world.log.push(format!("-{}", self.plan.id));
            }
            Some(Live::Worker) | None => {}
        }
    }

    fn is_temporary(&self) -> bool {
        self.plan.restart == Restart::Temporary
    }
}

/// A supervisor goes on, or has ended by itself.
#[derive(PartialEq)]
enum After {
    GoesOn,
    Ends,
}

impl Tree {
    fn start(plan: &TreePlan, world: &mut World) -> Option<Self> {
        let mut tree = Self { plan: plan.clone(), restarts: 0, children: Vec::new() };
        for child in &plan.children {
            match Node::start(child, world) {
                Some(live) => tree.children.push(Node { plan: child.clone(), live: Some(live) }),
                None => {
                    tree.stop(world);
                    return None;
                }
            }
        }
        Some(tree)
    }

    fn stop(&mut self, world: &mut World) {
        self.children.iter_mut().rev().for_each(|child| child.stop(world));
    }

    /// What is at the end of `path` ends by itself.
    fn exit(&mut self, path: &[usize], abnormal: bool, world: &mut World) -> After {
        let (&at, rest) = path.split_first().expect("a path leads somewhere");
        let child = &mut self.children[at];
        let abnormal = match &mut child.live {
            Some(Live::Tree(tree)) if !rest.is_empty() => {
                if tree.exit(rest, abnormal, world) == After::GoesOn {
                    return After::GoesOn;
                }
                tree.stop(world);
                false
            }
            _ => abnormal,
        };
        child.live = None;
        let restarts = match child.plan.restart {
            Restart::Permanent => true,
            Restart::Transient => abnormal,
            Restart::Temporary => false,
        };
        if restarts {
            return self.restart(at, world);
        }
        let significant = child.plan.significant;
        if child.is_temporary() {
            self.children.remove(at);
        }
        let others = self.children.iter().any(|child| child.plan.significant && child.live.is_some());
        match self.plan.mode {
            AutoShutdown::AnySignificant if significant => After::Ends,
            AutoShutdown::AllSignificant if significant && !others => After::Ends,
            _ => After::GoesOn,
        }
    }

    fn restart(&mut self, mut at: usize, world: &mut World) -> After {
        loop {
            self.restarts += 1;
            if self.restarts > self.plan.max_restarts {
                return After::Ends;
            }
            let failed = match self.plan.strategy {
                Strategy::OneForOne => (!self.children[at].start_again(world)).then_some(at),
                Strategy::RestForOne => self.restart_from(at, world),
                Strategy::OneForAll => self.restart_from(0, world),
            };
            match failed {
                Some(failed) => at = failed,
                None => return After::GoesOn,
            }
        }
    }

    /// The first that does not start.
    fn restart_from(&mut self, first: usize, world: &mut World) -> Option<usize> {
        self.children[first..].iter_mut().rev().for_each(|child| child.stop(world));
        let mut at = 0;
        self.children.retain(|child| {
            at += 1;
            at <= first || !child.is_temporary()
        });
        (first..self.children.len()).find(|&at| !self.children[at].start_again(world))
    }

    /// The way to a random child, and whether it runs.
    fn pick(&self, random: &mut Random) -> Option<Vec<usize>> {
        if self.children.is_empty() {
            return None;
        }
        let at = random.below(self.children.len());
        let mut path = vec![at];
        if let Some(Live::Tree(tree)) = &self.children[at].live
            && random.chance(70)
        {
            path.extend(tree.pick(random).unwrap_or_default());
        }
        Some(path)
    }

    fn node(&self, path: &[usize]) -> &Node {
        let child = &self.children[path[0]];
        match &child.live {
            Some(Live::Tree(tree)) if path.len() > 1 => tree.node(&path[1..]),
            _ => child,
        }
    }

    /// The supervisor over what is at the end of `path`.
    fn parent(&mut self, path: &[usize]) -> &mut Self {
        match path {
            [] | [_] => self,
            [at, rest @ ..] => match &mut self.children[*at].live {
                Some(Live::Tree(tree)) => tree.parent(rest),
                _ => unreachable!("a path leads through supervisors"),
            },
        }
    }

    fn workers<'a>(&'a self, ids: &mut Vec<&'a str>) {
        for child in &self.children {
            match &child.live {
                Some(Live::Worker) => ids.push(&child.plan.id),
                Some(Live::Tree(tree)) => tree.workers(ids),
                None => {}
            }
        }
    }
}

// Both side by side.

/// The real supervisor over what is at the end of `path`.
async fn parent(root: &SupervisorRef, model: &Tree, path: &[usize]) -> Result<SupervisorRef, String> {
    let mut supervisor = root.clone();
    for end in 1..path.len() {
        let id = &model.node(&path[..end]).plan.id;
        let child = supervisor.which_child(id.as_str()).await.map_err(|error| error.to_string())?;
        supervisor = SupervisorRef::of(child.pid.ok_or(format!("`{id}` does not run"))?);
    }
    Ok(supervisor)
}

/// Do they have the same children, in the same order, of which the same run?
async fn compare(real: SupervisorRef, model: &Tree) -> Result<(), String> {
    let children = real.which_children().await.map_err(|error| error.to_string())?;
    let is = children.iter().rev().map(|child| (child.id.as_str(), child.pid.is_some(), child.restarting));
    let expected = model.children.iter().map(|node| (&*node.plan.id, node.live.is_some(), false));
    let (is, expected): (Vec<_>, Vec<_>) = (is.collect(), expected.collect());
    if is != expected {
        return Err(format!("expected the children {expected:?}, got {is:?}"));
    }
    for (child, node) in children.iter().rev().zip(&model.children) {
        if let (Some(pid), Some(Live::Tree(tree))) = (child.pid, &node.live) {
            Box::pin(compare(SupervisorRef::of(pid), tree)).await?;
        }
    }
    Ok(())
}

fn compare_worlds(real: &mut World, model: &mut World, rules: Rules) -> Result<(), String> {
    // When a supervisor is killed, those below it stop their children beside everything else.
    let told = |log: &mut Vec<String>| -> Vec<String> {
        log.drain(..).filter(|entry| !rules.kills_supervisors || !entry.starts_with('-')).collect()
    };
    let (is, expected) = (told(&mut real.log), told(&mut model.log));
    if is != expected {
        return Err(format!("expected to happen:\n  {expected:?}\ngot\n  {is:?}"));
    }
    match &real.twice {
        Some(id) if !rules.kills_supervisors => Err(format!("`{id}` had two processes at once")),
        _ => Ok(()),
    }
}

fn compare_alive(real: &World, expected: &Tree) -> Result<(), String> {
    let mut ids = Vec::new();
    expected.workers(&mut ids);
    ids.sort_unstable();
    let is: Vec<_> =
        real.alive.iter().flat_map(|(id, count)| (0..*count).map(move |_| id.as_str())).collect();
    if is == ids { Ok(()) } else { Err(format!("expected {ids:?} to be alive, got {is:?}")) }
}

async fn run(seed: u64) -> Result<(), String> {
    process::trap_exit(true);
    let mut random = Random(seed);
    let rules = Rules { kills_supervisors: random.chance(30) };
    let real = Arc::new(Mutex::new(World::default()));
    let mut world = World::default();
    let plan = a_tree(&mut random, rules, "r", 1);
    let root = supervisor(&plan, &real).start_link().await.map_err(|error| error.to_string())?;
    let mut model = Tree::start(&plan, &mut world).expect("nothing fails yet");
    for step in 0..6 {
        let told = |problem| format!("step {step}: {problem}");
        let ended = one_step(&mut random, rules, &root, &mut model, &real, &mut world).await.map_err(told)?;
        process::sleep(SETTLED).await;
        compare_worlds(&mut real.lock().unwrap(), &mut world, rules).map_err(told)?;
        if ended == After::Ends {
            if process::list().len() > 1 || root.which_children().await.is_ok() {
                return Err(told("expected the whole tree to be gone".to_owned()));
            }
            return Ok(());
        }
        compare(root.clone(), &model).await.map_err(told)?;
        compare_alive(&real.lock().unwrap(), &model).map_err(told)?;
    }
    root.stop(ExitReason::Shutdown, None).await.map_err(|error| error.to_string())?;
    model.stop(&mut world);
    compare_worlds(&mut real.lock().unwrap(), &mut world, rules)?;
    match process::list().len() {
        1 => Ok(()),
        more => Err(format!("{} processes are left", more - 1)),
    }
}

/// Does one thing to both.
async fn one_step(
    random: &mut Random,
    rules: Rules,
    root: &SupervisorRef,
    model: &mut Tree,
    real: &Arc<Mutex<World>>,
    world: &mut World,
) -> Result<After, String> {
    let add = random.chance(15);
    let Some(path) = model.pick(random) else { return Ok(After::GoesOn) };
    let above = parent(root, model, &path).await?;
    let node = model.node(&path);
    let (id, runs) = (node.plan.id.clone(), node.live.is_some());
    let is_worker = matches!(node.plan.what, What::Worker(_));
    if random.chance(30) {
        // Some of the next starts of somebody will fail.
        let mut workers = Vec::new();
        model.workers(&mut workers);
        if !workers.is_empty() {
            let id = workers[random.below(workers.len())].to_owned();
            let failures = 1 + random.below(3) as u32;
            real.lock().unwrap().failures.insert(id.clone(), failures);
            world.failures.insert(id, failures);
        }
    }
    if add {
        let tree = model.parent(&path);
        let id = format!("{id}+{}", random.next() % 1_000_000);
        let child = a_child(random, rules, &id, path.len(), tree.plan.mode);
        if random.chance(30) {
            real.lock().unwrap().failures.insert(id.clone(), 1);
            world.failures.insert(id.clone(), 1);
        }
        let started = above.start_child(spec(&child, real)).await;
        match Node::start(&child, world) {
            Some(live) => tree.children.push(Node { plan: child, live: Some(live) }),
            None if started.is_err() => return Ok(After::GoesOn),
            None => return Err(format!("`{id}` was not to start")),
        }
        return started.map(|_| After::GoesOn).map_err(|error| error.to_string());
    }
    if runs && is_worker && random.chance(70) {
        let how = random.one_of(&[How::Normal, How::Shutdown, How::Exit, How::Panic, How::Kill]);
        let child = above.which_child(id.as_str()).await.map_err(|error| error.to_string())?;
        child.pid.expect("it runs").send(End(how));
        let abnormal = !matches!(how, How::Normal | How::Shutdown);
        return Ok(end(model, &path, abnormal, world));
    }
    if runs && !is_worker && rules.kills_supervisors && random.chance(50) {
        let child = above.which_child(id.as_str()).await.map_err(|error| error.to_string())?;
        process::kill(child.pid.expect("it runs"));
        return Ok(end(model, &path, true, world));
    }
    let at = *path.last().expect("a path is not empty");
    let tree = model.parent(&path);
    let child = &mut tree.children[at];
    let (is, expected) = match random.below(3) {
        0 => {
            let is = above.terminate_child(id.as_str()).await.is_ok();
            child.stop(world);
            if child.is_temporary() {
                tree.children.remove(at);
            }
            (is, true)
        }
        1 => {
            let is = above.restart_child(id.as_str()).await.is_ok();
            (is, !runs && child.start_again(world))
        }
        _ => {
            let is = above.delete_child(id.as_str()).await.is_ok();
            if !runs {
                tree.children.remove(at);
            }
            (is, !runs)
        }
    };
    if is == expected { Ok(After::GoesOn) } else { Err(format!("of `{id}`: expected {expected}, got {is}")) }
}

/// What is at the end of `path` ends by itself, in the model.
fn end(model: &mut Tree, path: &[usize], abnormal: bool, world: &mut World) -> After {
    let after = model.exit(path, abnormal, world);
    if after == After::Ends {
        model.stop(world);
    }
    after
}

/// Takes what is said about the crashes, of which there are many, without putting it into words.
struct Nobody;

impl tracing::Subscriber for Nobody {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "ibeam::crash"
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

/// Runs all seeds, on all cores, and says which failed first.
fn on_seeds<F>(runs: u64, body: impl Fn(u64) -> F + Sync)
where
    F: Future<Output = Result<(), String>> + Send + 'static,
{
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let seeds = match number("IBEAM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("IBEAM_SEEDS").unwrap_or(runs),
    };
    let threads = std::thread::available_parallelism().map_or(2, |threads| threads.get() as u64).min(8);
    std::thread::scope(|scope| {
        let of = |thread: u64| seeds.clone().filter(move |seed| seed % threads == thread);
        let body = &body;
        let running: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn(move || {
                    let _quiet = tracing::subscriber::set_default(Nobody);
                    of(thread).find_map(|seed| {
                        let outcome = Simulation::new(seed).run(body(seed));
                        outcome.err().map(|problem| (seed, problem))
                    })
                })
            })
            .collect();
        let failed = running.into_iter().filter_map(|thread| thread.join().expect("its panic says the seed"));
        if let Some((seed, problem)) = failed.min() {
            panic!("IBEAM_SEED={seed}: {problem}");
        }
    });
}

#[test]
fn random_trees_do_as_the_model_does() {
    on_seeds(10_000, run);
}

/// The model does notice: a supervisor of another strategy than the model's is found soon.
#[test]
fn a_tree_that_does_otherwise_is_found() {
    let found = (0..200_u64).filter(|&seed| {
        let outcome = Simulation::new(seed).run(async move {
            let mut random = Random(seed);
            let rules = Rules { kills_supervisors: false };
            let real = Arc::new(Mutex::new(World::default()));
            let mut plan = a_tree(&mut random, rules, "r", 1);
            plan.strategy = Strategy::OneForOne;
            let root = supervisor(&plan, &real).start_link().await.unwrap();
            plan.strategy = Strategy::OneForAll;
            let mut world = World::default();
            let mut model = Tree::start(&plan, &mut world).unwrap();
            process::trap_exit(true);
            for _ in 0..3 {
                let ended = one_step(&mut random, rules, &root, &mut model, &real, &mut world).await;
                process::sleep(SETTLED).await;
                compare_worlds(&mut real.lock().unwrap(), &mut world, rules)?;
                if ended? == After::Ends {
                    return Ok(());
                }
            }
            Ok::<(), String>(())
        });
        outcome.is_err()
    });
    assert!(found.count() > 10);
}

// Back-off.

/// Children that fail to start for a while, with and without back-off, while a program adds, terminates, restarts and deletes beside them,
/// without waiting for anything to settle. When the trouble is over, every child that is wanted runs once, and no other.
async fn change_meanwhile(seed: u64) -> Result<(), String> {
    process::trap_exit(true);
    let mut random = Random(seed);
    let strategy = random.one_of(&[Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne]);
    let real = Arc::new(Mutex::new(World::default()));
    // Without back-off a retry is a message at once, which an order to the contrary may overtake.
    let backoff = random.chance(50).then(|| Backoff::new(Duration::from_millis(100), Duration::from_secs(4)));
    let plan = |id: String| {
        let what = What::Worker(Manners::Polite);
        Plan { id, restart: Restart::Permanent, significant: false, what }
    };
    let mut wanted: BTreeMap<String, bool> = (0..4).map(|at| (format!("c{at}"), true)).collect();
    let root = Supervisor::new(strategy).intensity(usize::MAX, DAY);
    let root = match backoff {
        Some(backoff) => root.backoff(backoff),
        None => root,
    };
    let root = root
        .children(wanted.keys().map(|id| spec(&plan(id.clone()), &real)))
        .start_link()
        .await
        .map_err(|error| error.to_string())?;
    for step in 0..30 {
        let ids: Vec<String> = wanted.keys().cloned().collect();
        let id = ids[random.below(ids.len())].clone();
        match random.below(8) {
            0..=3 => {
                if random.chance(60) {
                    real.lock().unwrap().failures.insert(id.clone(), 1 + random.below(12) as u32);
                }
                let child = root.which_child(id.as_str()).await;
                if let Some(pid) = child.map_err(|error| error.to_string())?.pid {
                    pid.send(End(How::Exit));
                }
            }
            4 => {
                let id = format!("n{step}");
                if root.start_child(spec(&plan(id.clone()), &real)).await.is_ok() {
                    wanted.insert(id, true);
                }
            }
            5 => {
                root.terminate_child(id.as_str()).await.map_err(|error| error.to_string())?;
                wanted.insert(id, false);
            }
            6 => {
                if root.restart_child(id.as_str()).await.is_ok() {
                    wanted.insert(id, true);
                }
            }
            _ => {
                if ids.len() > 1 && root.delete_child(id.as_str()).await.is_ok() {
                    wanted.remove(&id);
                }
            }
        }
        if random.chance(60) {
            process::sleep(Duration::from_millis(random.one_of(&[1, 90, 150, 3_000]))).await;
        }
    }
    real.lock().unwrap().failures.clear();
    process::sleep(SETTLED).await;
    let children = root.which_children().await.map_err(|error| error.to_string())?;
    let mut is: Vec<_> = children.iter().map(|child| (child.id.as_str(), child.pid.is_some())).collect();
    is.sort_unstable();
    let alive: Vec<_> = {
        let world = real.lock().unwrap();
        if let Some(id) = &world.twice {
            return Err(format!("`{id}` had two processes at once"));
        }
        world.alive.iter().filter(|(_, count)| **count == 1).map(|(id, _)| id.clone()).collect()
    };
    let running: Vec<_> = is.iter().filter(|(_, runs)| *runs).map(|(id, _)| (*id).to_owned()).collect();
    if alive != running {
        return Err(format!("{running:?} are said to run, {alive:?} do"));
    }
    let expected = wanted.iter().map(|(id, wanted)| (id.as_str(), *wanted));
    let differs = |(is, expected): (&(&str, bool), (&str, bool))| {
        // A restart of several starts what was stopped too.
        let revived = strategy != Strategy::OneForOne && is.1 && !expected.1;
        is.0 != expected.0 || (is.1 != expected.1 && !revived)
    };
    if is.len() != wanted.len() || is.iter().zip(expected).any(differs) {
        return Err(format!("expected {wanted:?}, got {is:?} ({strategy:?})"));
    }
    root.stop(ExitReason::Shutdown, None).await.map_err(|error| error.to_string())
}

#[test]
fn no_child_is_lost_or_started_twice_while_others_change_the_tree() {
    on_seeds(1_000, change_meanwhile);
}
