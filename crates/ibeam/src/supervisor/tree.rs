//! A look at a supervision tree: who is there, below whom.
//!
//! Each supervisor is asked for its children, whatever kind of supervisor it is: all of them answer the same request.
//!
//! # Invariants
//! 1. A supervisor is asked for as many children as are to be listed, and the rest it counts: a million of them cost no more than
//!    a hundred.
//! 2. Supervisors of one level are asked side by side. One that does not answer holds up nobody but its own part of the tree.

use std::fmt;
use std::future::{Future, IntoFuture, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use ibeam_runtime::process::{self, Call};
use ibeam_runtime::{CallError, Destination, Name, Pid, Timeout};

use super::child_spec::{ChildId, Kind};
use super::supervisor_ref::ChildCounts;

/// The tree below a supervisor of any kind, by pid, name or handle. Awaited, it is a [`TreeNode`].
///
/// Works inside and outside of processes. The answer is put together from many, so it is no picture of one moment: what changes
/// meanwhile is seen before or after the change.
///
/// # Errors
/// The supervisor at the root did not answer. One further down that does not is in the tree, with the error.
///
/// # Cancel safety
/// Dropping the future ends the questions.
///
/// # Erlang/OTP
/// What `observer` draws. There it follows links, here it asks supervisors for their children.
///
/// ```
/// use ibeam::prelude::*;
/// use ibeam::supervisor::{self, TreeNode};
///
/// fn worker(id: &str) -> ChildSpec {
///     ChildSpec::new(id, || async { Ok(process::spawn_link(std::future::pending::<()>())) })
/// }
///
/// Runtime::new().block_on(async {
///     let app = Supervisor::new(Strategy::OneForOne)
///         .name("app")
///         .child(worker("clock"))
///         .child(DynamicSupervisor::new("rooms"))
///         .start_link()
///         .await
///         .unwrap();
///     for number in 0..1_000 {
///         DynamicSupervisorRef::named("rooms").start_child(worker(&number.to_string())).await.unwrap();
///     }
///
///     let tree: TreeNode = supervisor::tree(&app).children_max(2).await.unwrap();
///     let lines: Vec<_> = tree.to_string().lines().map(|line| line.replace(char::is_numeric, "")).collect();
///     assert_eq!(lines, [
///         "app <..> supervisor,  children",
///         "├─ clock <..> worker",
///         "└─ rooms <..> supervisor,  children",
///         "   ├─ <..> worker",
///         "   ├─ <..> worker",
///         "   └─ …  more",
///     ]);
///     assert!(tree.to_string().ends_with("998 more\n"));
/// });
/// ```
pub fn tree(root: impl Into<Destination>) -> TreeWalk {
    TreeWalk { root: root.into(), children_max: CHILDREN_MAX, timeout: Timeout::CALL }
}

const CHILDREN_MAX: usize = 100;

/// See [`tree`].
#[derive(Clone, Debug)]
#[must_use = "nobody is asked until it is awaited"]
pub struct TreeWalk {
    root: Destination,
    children_max: usize,
    timeout: Timeout,
}

impl TreeWalk {
    /// How many children of one supervisor are listed at most; the rest is counted. Default: 100.
    pub fn children_max(mut self, children: usize) -> Self {
        self.children_max = children;
        self
    }

    /// How long each supervisor is given for its answer, so that a tree takes this long for each of its levels at worst. Default: 5 s.
    ///
    /// A supervisor does not answer while one of its children starts or, but for a dynamic one, stops.
    pub fn timeout(mut self, timeout: impl Into<Timeout>) -> Self {
        self.timeout = timeout.into();
        self
    }
}

impl IntoFuture for TreeWalk {
    type Output = Result<TreeNode, CallError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { root, children_max, timeout } = self;
        Box::pin(async move {
            let pid = root.resolve().ok_or_else(|| CallError::NoProc { destination: root.clone() })?;
            let below = below(pid, children_max, timeout).await?;
            Ok(TreeNode {
                id: None,
                pid: Some(pid),
                name: process::name_of(pid),
                restarting: false,
                kind: Kind::Supervisor,
                module: None,
                below: Some(Ok(below)),
            })
        })
    }
}

/// A process of a supervision tree, and what is below it. Displayed as a tree of lines, each with what it is called (its id, and
/// its name in parentheses if that is another), its pid, its kind and how many children it has.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TreeNode {
    /// What its supervisor calls it. `None` for the root, and for children of dynamic supervisors, which have none.
    pub id: Option<ChildId>,
    /// Its process; `None` if it has none now.
    pub pid: Option<Pid>,
    /// The name that the process has registered.
    pub name: Option<Name>,
    /// It has no process, and its supervisor is about to start it again.
    pub restarting: bool,
    /// Worker or supervisor.
    pub kind: Kind,
    /// The type that implements it, if that is known.
    pub module: Option<&'static str>,
    /// Its children, or why it did not tell them. `None` for workers, and for supervisors without a process.
    pub below: Option<Result<Below, CallError>>,
}

/// The children of a supervisor in a [tree](TreeNode).
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Below {
    /// How many there are.
    pub counts: ChildCounts,
    /// The first of them, as many as were asked for: in start order, those of a dynamic supervisor in no particular order.
    pub children: Vec<TreeNode>,
}

impl Below {
    /// How many children there are that are not listed.
    #[must_use]
    pub fn unlisted(&self) -> usize {
        self.counts.specs.saturating_sub(self.children.len())
    }
}

/// What every supervisor is asked, and answers with [`Below`]: so many children, and nothing about what is below them.
pub(crate) struct ListChildren {
    pub(crate) max: usize,
}

impl TreeNode {
    /// A child as its supervisor tells it.
    pub(crate) fn child(
        id: Option<ChildId>,
        pid: Option<Pid>,
        restarting: bool,
        kind: Kind,
        module: Option<&'static str>,
    ) -> Self {
        Self { id, pid, name: None, restarting, kind, module, below: None }
    }
}

fn below(
    supervisor: Pid,
    max: usize,
    timeout: Timeout,
) -> Pin<Box<dyn Future<Output = Result<Below, CallError>> + Send>> {
    Box::pin(async move {
        let mut below = Call::<_, Below>::new(supervisor, ListChildren { max }).timeout(timeout).await?;
        let mut questions = Vec::new();
        for (index, child) in below.children.iter_mut().enumerate() {
            child.name = child.pid.and_then(process::name_of);
            if let (Kind::Supervisor, Some(pid)) = (child.kind, child.pid) {
                questions.push((index, self::below(pid, max, timeout)));
            }
        }
        for (index, answer) in side_by_side(questions).await {
            below.children[index].below = Some(answer);
        }
        Ok(below)
    })
}

/// Awaits all of them at once. In the order in which they end.
async fn side_by_side<T, F: Future + Unpin>(mut futures: Vec<(T, F)>) -> Vec<(T, F::Output)> {
    let mut done = Vec::with_capacity(futures.len());
    poll_fn(|cx| {
        let mut index = 0;
        while let Some((_, future)) = futures.get_mut(index) {
            match Pin::new(future).poll(cx) {
                Poll::Ready(output) => done.push((futures.swap_remove(index).0, output)),
                Poll::Pending => index += 1,
            }
        }
        if futures.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    done
}

impl fmt::Display for TreeNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, &mut String::new())
    }
}

impl TreeNode {
    /// Writes this node where the line stands, and what is below it on lines that begin with `indent`.
    fn write(&self, f: &mut fmt::Formatter<'_>, indent: &mut String) -> fmt::Result {
        match (&self.id, &self.name) {
            (Some(id), Some(name)) if id != name.as_str() => write!(f, "{id} ({name}) ")?,
            (Some(id), _) => write!(f, "{id} ")?,
            (None, Some(name)) => write!(f, "{name} ")?,
            (None, None) => {}
        }
        match self.pid {
            Some(pid) => write!(f, "{pid} {}", self.kind)?,
            None if self.restarting => write!(f, "restarting {}", self.kind)?,
            None => write!(f, "stopped {}", self.kind)?,
        }
        match &self.below {
            None => writeln!(f),
            Some(Err(error)) => writeln!(f, ", its children are not known: {error}"),
            Some(Ok(below)) => {
                let ChildCounts { specs, active, .. } = below.counts;
                let noun = if specs == 1 { "child" } else { "children" };
                write!(f, ", {specs} {noun}")?;
                if active < specs {
                    write!(f, ", {active} of them running")?;
                }
                writeln!(f)?;
                below.write(f, indent)
            }
        }
    }
}

impl Below {
    fn write(&self, f: &mut fmt::Formatter<'_>, indent: &mut String) -> fmt::Result {
        let unlisted = self.unlisted();
        for (index, child) in self.children.iter().enumerate() {
            let is_last = index + 1 == self.children.len() && unlisted == 0;
            let (branch, trunk) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            write!(f, "{indent}{branch}")?;
            indent.push_str(trunk);
            child.write(f, indent)?;
            indent.truncate(indent.len() - trunk.len());
        }
        if unlisted > 0 {
            writeln!(f, "{indent}└─ … {unlisted} more")?;
        }
        Ok(())
    }
}
