//! Changes while the process runs, from whatever source. Each is checked and accepted, or refused; what was accepted
//! becomes a table, at once or with others that come within `control.rebuild_min_interval`.

use std::{
    ops::ControlFlow,
    sync::Arc,
    time::{Instant, SystemTime},
};

use tokio::sync::{mpsc::Receiver, oneshot};

use super::{Server, compile_error};
use crate::control::{
    ask::{Answer, Ask, Asks, Change, Denied, Done, Expect},
    compile,
    config::Config,
    desired::{Delta, Desired, Refused},
    files::Found,
    live::{Live, Shared},
    pace::Pace,
    resolve,
};

/// Changes that are taken in before a table is built of them.
const BATCH_MAX: usize = 256;

/// Changes on their way into the table.
pub(super) struct Changes {
    pub(super) live: Shared,
    pub(super) asks: Asks,
    asked: Receiver<Ask>,
    pace: Pace,
    accepted: Vec<Accepted>,
    replies: Vec<(oneshot::Sender<Answer>, Done)>,
}

/// A change that is not in force yet.
struct Accepted {
    source: String,
    deltas: Vec<Delta>,
}

impl Changes {
    pub(super) fn new(live: Live, config: &Config) -> Changes {
        let (asks, asked) = Asks::channel();
        let mut pace = Pace::default();
        pace.set(config.control.rebuild_min_interval, config.control.rebuild_max_delay);
        let live = Shared::new(live);
        Changes { live, asks, asked, pace, accepted: Vec::new(), replies: Vec::new() }
    }

    /// The next change that somebody asks for, or the time to build a table of those that wait.
    pub(super) async fn next(&mut self) -> Option<Ask> {
        let due = self.pace.due().map(tokio::time::Instant::from_std);
        tokio::select! {
            ask = self.asked.recv() => ask,
            () = super::until(due) => None,
        }
    }

    fn desired<T>(&self, look: impl FnOnce(&Desired) -> T) -> T {
        self.live.read(|live| look(&live.desired))
    }

    /// Makes a change that is to be in the next table.
    fn accept(&mut self, change: &Change, expect: &Expect, from: &str) -> Answer {
        let made = self.live.write(|live| {
            let before = live.tag(change.about());
            let deltas = live.accept(change, expect, from)?;
            if !deltas.is_empty() {
                live.version += 1;
                live.waiting = true;
            }
            let done = Done {
                revision: live.history.number() + u64::from(live.waiting),
                in_force: !live.waiting,
                changed: !deltas.is_empty(),
                created: before.is_none(),
                tag: live.tag(change.about()),
            };
            Ok((deltas, done))
        });
        let errors = match &made {
            Ok(_) => Vec::new(),
            Err(Denied::Refused(refused)) => refused.lines(),
            Err(Denied::Expectation(_)) => vec!["it is not as was expected (If-Match)".to_owned()],
        };
        self.live.write(|live| live.note(from, errors, SystemTime::now()));
        let (deltas, done) = made?;
        if deltas.iter().any(|it| matches!(it, Delta::Base { .. })) {
            self.follow_pace();
        }
        if !deltas.is_empty() {
            self.add(from, deltas, Instant::now());
        }
        Ok(done)
    }

    /// Something was accepted from `source`, and is to be in the next table.
    pub(super) fn add(&mut self, source: &str, deltas: Vec<Delta>, now: Instant) {
        self.pace.changed(now);
        self.live.write(|live| live.waiting = true);
        self.accepted.push(Accepted { source: source.to_owned(), deltas });
    }

    /// Takes over `control` of the config that is asked for.
    fn follow_pace(&mut self) {
        let base = self.desired(|it| Arc::clone(it.base()));
        let control = &base.config.control;
        self.pace.set(control.rebuild_min_interval, control.rebuild_max_delay);
    }

    /// What would come of a change.
    fn try_out(&mut self, ask: &Ask) -> Answer {
        // The way back begins at what is in force.
        let back = matches!(ask.change, Change::RollBack(_));
        let waiting = self.accepted.iter().filter(|_| back).flat_map(|it| it.deltas.clone());
        let waiting: Vec<Delta> = waiting.collect();
        self.live.write(|live| {
            let before = live.tag(ask.change.about());
            live.desired.take_back(&waiting);
            let tried = live.accept(&ask.change, &ask.expect, &ask.from).map(|deltas| {
                let tag = live.tag(ask.change.about());
                live.desired.take_back(&deltas);
                let (changed, created) = (!deltas.is_empty(), before.is_none());
                Done { revision: live.history.number(), in_force: false, changed, created, tag }
            });
            waiting.iter().for_each(|it| live.desired.apply(it));
            tried
        })
    }
}

impl Server {
    /// Takes in a change that was asked for, and those that wait behind it; builds the table if it is time.
    /// `Break`: the process was told to end.
    pub(super) async fn take(&mut self, first: Option<Ask>) -> ControlFlow<()> {
        let mut next = first;
        let mut taken = 0;
        while let Some(ask) = next {
            taken += 1;
            self.answer(ask).await?;
            next = if taken < BATCH_MAX { self.changes.asked.try_recv().ok() } else { None };
        }
        if self.changes.pace.is_due(Instant::now()) {
            self.publish().await
        } else {
            ControlFlow::Continue(())
        }
    }

    async fn answer(&mut self, ask: Ask) -> ControlFlow<()> {
        // Nobody waits for the answer: the client has gone.
        if ask.reply.is_closed() {
            return ControlFlow::Continue(());
        }
        if ask.dry_run {
            let answer = self.changes.try_out(&ask);
            let _ = ask.reply.send(answer);
            return ControlFlow::Continue(());
        }
        let at_once = matches!(ask.change, Change::RollBack(_));
        if at_once && !self.changes.accepted.is_empty() {
            // The way back begins at what is in force.
            self.publish().await?;
        }
        let answer = match ask.change {
            Change::Reload(_) => self.reload(&ask.change, &ask.expect, &ask.from),
            _ => self.changes.accept(&ask.change, &ask.expect, &ask.from),
        };
        let process = self.board.process();
        match answer {
            Ok(done) => {
                process.config_changes_accepted.inc();
                let soon = at_once || self.changes.pace.is_due(Instant::now());
                if soon && !done.in_force {
                    self.changes.replies.push((ask.reply, done));
                } else {
                    // Nobody may wait any more.
                    let _ = ask.reply.send(Ok(done));
                }
            }
            Err(denied) => {
                process.config_changes_refused.inc();
                let _ = ask.reply.send(Err(denied));
            }
        }
        if at_once { self.publish().await } else { ControlFlow::Continue(()) }
    }

    /// Takes over the files as they are now, for `source`. Whatever is wrong with them, what is in force stays.
    fn reload(&mut self, change: &Change, expect: &Expect, source: &str) -> Answer {
        if let Change::Reload(found) = change {
            self.changes.live.write(|live| live.seen = found.fingerprint());
        }
        let answer = self.changes.accept(change, expect, source);
        let path = self.path.display();
        match &answer {
            Ok(_) => {
                let config = self.changes.desired(|it| Arc::clone(it.base()));
                config.config.warnings.iter().for_each(|warning| tracing::warn!("{}", warning.one_line()));
                for file in config.refused() {
                    let errors = counted(file.refused.len(), "error");
                    tracing::error!("reload: {errors} in {}; what was in force of it stays", file.name);
                    file.refused.iter().for_each(|error| tracing::error!("{error}"));
                }
            }
            Err(Denied::Refused(Refused::Invalid(errors))) => {
                self.board.process().reloads_failed.inc();
                let count = counted(errors.len(), "error");
                tracing::error!("reload: {count} in {path}; the config in force stays");
                errors.iter().for_each(|error| tracing::error!("{error}"));
            }
            Err(Denied::Refused(refused)) => {
                self.board.process().reloads_failed.inc();
                let why = refused.lines().join("; ");
                tracing::error!("reload of {path}: {why}; the config in force stays");
            }
            // Nothing was read.
            Err(Denied::Expectation(_)) => {}
        }
        answer
    }

    /// HUP: the access log's file is opened again, and all files are read again.
    pub(super) async fn hang_up(&mut self) -> ControlFlow<()> {
        if let Some(log) = &self.access_log {
            log.reopen();
        }
        let change = Change::Reload(Box::new(Found::settled(&self.path).await));
        let _ = self.reload(&change, &Expect::Anything, "HUP");
        self.take(None).await
    }

    fn tell_what_needs_a_restart(&self, before: &Config) {
        let changed = [
            ("runtime", before.runtime != self.config.runtime),
            ("admin", before.admin != self.config.admin),
            ("etcd", before.etcd != self.config.etcd),
            ("log", before.log != self.config.log),
            ("access_log", before.access_log != self.config.access_log),
        ];
        for (what, _) in changed.iter().filter(|(_, changed)| *changed) {
            tracing::warn!("reload: {what} changed; that takes effect with the next start");
        }
    }

    /// Looks up the names that are due. `Break`: the process was told to end.
    pub(super) async fn refresh_names(&mut self) -> ControlFlow<()> {
        if self.look_up().await? {
            match self.build() {
                Ok(()) => tracing::info!("names resolve to new addresses"),
                Err(error) => tracing::error!("{error}"),
            }
        }
        ControlFlow::Continue(())
    }

    /// True: some name has other addresses. An order to end does not wait for a resolver that is slow.
    async fn look_up(&mut self) -> ControlFlow<(), bool> {
        let changed = tokio::select! {
            changed = resolve::refresh(&self.config, &mut self.resolved, Instant::now()) => changed,
            () = self.signals.end() => return ControlFlow::Break(()),
        };
        self.report_names();
        ControlFlow::Continue(changed)
    }

    /// Brings what was accepted into force, and answers those who wait for that.
    async fn publish(&mut self) -> ControlFlow<()> {
        let mut accepted = std::mem::take(&mut self.changes.accepted);
        let replies = std::mem::take(&mut self.changes.replies);
        let mut failure = None;
        // What etcd has may be usable now.
        if !self.changes.live.read(|live| live.store.unfulfilled.is_empty()) {
            self.wish(Vec::new(), false);
            accepted.append(&mut self.changes.accepted);
        }
        self.changes.pace.built(Instant::now());
        if !accepted.is_empty() {
            let config = self.changes.desired(Desired::config);
            let before = std::mem::replace(&mut self.config, config);
            if accepted.iter().flat_map(|it| &it.deltas).any(Delta::concerns_upstreams) {
                self.look_up().await?;
            }
            let loads = |it: &Accepted| it.deltas.iter().any(|it| matches!(it, Delta::Base { .. }));
            let loads = accepted.iter().filter(|it| loads(it)).count() as u64;
            match self.build() {
                Ok(()) => {
                    self.board.process().reloads_ok.add(loads);
                    self.tell_what_needs_a_restart(&before);
                    self.note_revision(accepted);
                }
                Err(error) => {
                    self.board.process().reloads_failed.add(loads);
                    self.config = before;
                    for accepted in accepted.iter().rev() {
                        self.changes.live.write(|live| live.desired.take_back(&accepted.deltas));
                        tracing::error!("{}: {error}; the config in force stays", accepted.source);
                    }
                    failure = Some(error);
                }
            }
        }
        self.changes.live.write(|live| live.waiting = false);
        for (reply, done) in replies {
            let answer = match &failure {
                None => Ok(Done { in_force: true, ..done }),
                Some(error) if done.changed => Err(Denied::Refused(Refused::Conflict(error.clone()))),
                Some(_) => Ok(done),
            };
            // Nobody may wait any more.
            let _ = reply.send(answer);
        }
        ControlFlow::Continue(())
    }

    fn note_revision(&mut self, accepted: Vec<Accepted>) {
        let mut sources: Vec<String> = Vec::new();
        let mut deltas = Vec::new();
        for it in accepted {
            if sources.last() != Some(&it.source) && sources.len() < BATCH_MAX {
                sources.push(it.source);
            }
            deltas.extend(it.deltas);
        }
        let reloaded = deltas.iter().any(|it| matches!(it, Delta::Base { .. }));
        let source = sources.join(", ");
        let routes = counted(self.config.routes.len(), "route");
        if reloaded {
            tracing::info!("reload: {routes} in force");
        } else {
            tracing::debug!("{source}: {routes} in force");
        }
        let generation = self.published.generation();
        let number = self.changes.live.write(|live| {
            live.generation = generation;
            live.history.push(source, deltas, SystemTime::now())
        });
        self.board.process().config_revision.set(number);
    }

    /// Builds the table of the config and publishes it.
    fn build(&mut self) -> Result<(), String> {
        let generation = self.published.generation() + 1;
        let before = Some(&self.compiled);
        let compiled = compile(&self.config, &self.resolved, &mut self.identities, generation, before)
            .map_err(|errors| compile_error(&errors).to_string())?;
        let prepared =
            self.threads.prepare(&compiled.table().listeners).map_err(|error| error.to_string())?;
        self.published.publish(Arc::clone(compiled.table()));
        self.health.follow(&compiled.table().upstreams);
        self.compiled = compiled;
        for change in self.threads.commit(prepared) {
            tracing::info!("{change}");
        }
        let process = self.board.process();
        process.config_generation.set(generation);
        process.table_builds.inc();
        Ok(())
    }
}

/// `1 route`, `2 routes`.
fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
