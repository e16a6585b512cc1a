//! Changes while the process runs: a reload, a name's new address. Each becomes a table, or leaves the one in force.

use std::{ops::ControlFlow, sync::Arc, time::Instant};

use super::{Server, compile_error};
use crate::control::{
    compile,
    config::{self, Config, ConfigError},
    resolve,
};

impl Server {
    /// Loads the config again. Whatever is wrong with it, the one in force stays. `Break`: the process was told to end.
    pub(super) async fn reload(&mut self) -> ControlFlow<()> {
        if let Some(log) = &self.access_log {
            log.reopen();
        }
        match config::load(&self.path) {
            Err(errors) => {
                self.board.process().reloads_failed.inc();
                let count = errors.len();
                tracing::error!(
                    "reload: {count} errors in {}; the config in force stays",
                    self.path.display()
                );
                errors.iter().for_each(|error: &ConfigError| tracing::error!("{error}"));
            }
            Ok(config) => {
                let before = std::mem::replace(&mut self.config, config);
                self.look_up().await?;
                self.config.warnings.iter().for_each(|warning| tracing::warn!("{}", warning.one_line()));
                if self.publish() {
                    self.board.process().reloads_ok.inc();
                    self.tell_what_needs_a_restart(&before);
                    if let Ok(mut masked) = self.masked.write() {
                        *masked = self.config.masked();
                    }
                    tracing::info!("reload: {} routes in force", self.config.routes.len());
                } else {
                    self.board.process().reloads_failed.inc();
                    self.config = before;
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn tell_what_needs_a_restart(&self, before: &Config) {
        let address = |config: &Config| -> Vec<_> {
            config.listeners.iter().map(|it| (Arc::clone(&it.name), it.address.clone())).collect()
        };
        let changed = [
            ("runtime", before.runtime != self.config.runtime),
            ("admin", before.admin != self.config.admin),
            ("log", before.log != self.config.log),
            ("access_log", before.access_log != self.config.access_log),
            ("the set or the addresses of listeners", address(before) != address(&self.config)),
        ];
        for (what, _) in changed.iter().filter(|(_, changed)| *changed) {
            tracing::warn!("reload: {what} changed; that takes effect with the next start");
        }
    }

    /// Looks up the names that are due. `Break`: the process was told to end.
    pub(super) async fn refresh_names(&mut self) -> ControlFlow<()> {
        if self.look_up().await? {
            self.publish();
            tracing::info!("names resolve to new addresses");
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

    fn publish(&mut self) -> bool {
        let generation = self.published.generation() + 1;
        match compile(&self.config, &self.resolved, &mut self.identities, generation, Some(&self.compiled)) {
            Ok(compiled) => {
                self.published.publish(Arc::clone(compiled.table()));
                self.compiled = compiled;
                self.board.process().config_generation.set(generation);
                true
            }
            Err(errors) => {
                tracing::error!("{}", compile_error(&errors));
                false
            }
        }
    }
}
