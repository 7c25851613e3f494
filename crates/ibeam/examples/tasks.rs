//! Tasks: work beside work, for each item of a list, and beside a server that stays free.
//!
//! ```sh
//! cargo run -p ibeam --example tasks
//! ```
//!
//! prints
//!
//! ```text
//! two at once: 42 and 43
//! not done yet; told to end: None
//! words: 5 7 3
//! of 4 numbers 2 are even, 1 is odd, 1 took too long
//! the librarian counts in 2 books at once
//! a torn book: asked again later
//! ```
//!
//! The crash report goes to standard error.

use std::collections::HashMap;
use std::time::Duration;

use ibeam::prelude::*;

/// Counts the pages of books, each in a task of its own, and answers when it is counted.
struct Librarian {
    tasks: TaskSupervisorRef,
    readers: HashMap<Reference, CallFrom<Option<usize>>>,
}

#[gen_server]
impl Librarian {
    async fn init(tasks: TaskSupervisorRef) -> Init<Self> {
        Init::ok(Librarian { tasks, readers: HashMap::new() })
    }

    #[call]
    async fn pages(&mut self, book: &'static str, from: CallFrom<Option<usize>>) -> Reply<Option<usize>> {
        let count = async move {
            assert!(!book.contains("torn"), "a page is missing");
            book.split(' ').count()
        };
        match self.tasks.spawn_nolink(count).await {
            Ok(task) => drop(self.readers.insert(task.into_message(), from)),
            Err(_) => drop(from.reply(None)),
        }
        Reply::later()
    }

    #[call]
    async fn busy(&mut self) -> usize {
        self.readers.len()
    }

    /// A task has ended, in one way or the other.
    #[info]
    async fn counted(&mut self, task: TaskEnded<usize>) {
        if let Some(reader) = self.readers.remove(&task.task) {
            reader.reply(task.outcome.ok());
        }
    }
}

#[ibeam::main]
async fn main() -> Result<(), ExitReason> {
    let (one, two) = (Task::spawn(async { 6 * 7 }), Task::spawn(async { 40 + 3 }));
    println!("two at once: {} and {}", one.await?, two.await?);

    let mut endless = Task::spawn(std::future::pending::<()>());
    if endless.yield_for(Duration::from_millis(10)).await.is_none() {
        println!("not done yet; told to end: {:?}", endless.shutdown(Duration::from_secs(5)).await);
    }

    let lengths = Task::stream(["three", "letters", "and"], |word| async move { word.len() });
    let lengths: Vec<_> = lengths.collect::<Vec<_>>().await.into_iter().flatten().collect();
    println!("words: {} {} {}", lengths[0], lengths[1], lengths[2]);

    let tasks = TaskSupervisor::new("tasks").start_link().await?;
    let mut parities = tasks
        .stream_nolink([2, 3, 0, 4], |number: u32| async move {
            if number == 0 {
                std::future::pending::<()>().await;
            }
            number.is_multiple_of(2)
        })
        .max_concurrency(4)
        .timeout(Duration::from_millis(50))
        .on_timeout(OnTimeout::KillTask);
    let (mut even, mut odd, mut late) = (0, 0, 0);
    while let Some(parity) = parities.next().await {
        match parity {
            Ok(true) => even += 1,
            Ok(false) => odd += 1,
            Err(_) => late += 1,
        }
    }
    println!("of 4 numbers {even} are even, {odd} is odd, {late} took too long");

    let librarian = Librarian::start_link(tasks).await?;
    let (reader, other) = (librarian.clone(), librarian.clone());
    let books = [
        Task::spawn(async move { reader.pages("once upon a time").await }),
        Task::spawn(async move { other.pages("the end").await }),
    ];
    let counted = Task::await_many(books).await?;
    println!("the librarian counts in {} books at once", counted.iter().flatten().flatten().count());
    if librarian.pages("torn").await?.is_none() && librarian.busy().await? == 0 {
        println!("a torn book: asked again later");
    }
    Ok(())
}
