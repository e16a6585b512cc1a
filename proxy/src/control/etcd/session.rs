//! One connection from its opening to its end: a list where one is needed, then the watch.

use std::{convert::Infallible, pin::Pin};

use etcd_client::{Error, WatchResponse, WatchStream};
use tokio::{
    sync::mpsc::Sender,
    time::{Instant, sleep_until},
};

use super::{
    Settings, Status, Update,
    batch::Batch,
    client::{Connection, explain, guess, within},
    known::Known,
    snapshot::Keeper,
};

/// Why a session ended.
pub(super) enum End {
    /// Nobody receives any more.
    Closed,
    /// In words.
    Failed(String),
}

impl From<String> for End {
    fn from(why: String) -> End {
        End::Failed(why)
    }
}

/// Events since the revision that is known are no longer to be had: etcd has compacted them away.
struct Compacted;

/// What outlives a session.
pub(super) struct Following {
    pub(super) settings: Settings,
    pub(super) sender: Sender<Update>,
    pub(super) known: Known,
    pub(super) keeper: Keeper,
    /// What is known is of another etcd or too old to go on from.
    pub(super) must_list: bool,
    /// Since when, and what was said of it; `None`: connected.
    pub(super) down: Option<(std::time::Instant, String)>,
}

impl Drop for Following {
    fn drop(&mut self) {
        self.keeper.finish(&self.known);
    }
}

impl Following {
    /// Follows one endpoint until it fails.
    pub(super) async fn session(&mut self, endpoint: &str) -> End {
        let mut answered = false;
        let Err(end) = self.run(endpoint, &mut answered).await;
        let End::Failed(why) = end else { return End::Closed };
        let why = if answered { why } else { guess(&self.settings, why) };
        End::Failed(format!("{endpoint}: {why}"))
    }

    async fn run(&mut self, endpoint: &str, answered: &mut bool) -> Result<Infallible, End> {
        let mut connection = Connection::open(&self.settings, endpoint).await?;
        loop {
            let listed = self.must_list;
            if listed {
                self.list(&mut connection).await?;
            }
            let mut stream = connection.watch(self.known.revision + 1).await?;
            let begins = self.begins_where_we_are(&mut stream).await?;
            *answered = true;
            if begins {
                self.down = None;
                let (endpoint, revision) = (endpoint.to_owned(), self.known.revision);
                self.send(Update::Status(Status::Connected { endpoint, revision })).await?;
                let Compacted = self.watch(&connection, &mut stream).await?;
            }
            self.must_list = true;
            if listed {
                // Not again at once: each list costs etcd something.
                return Err(End::Failed(
                    "what was listed was compacted before it could be watched".to_owned(),
                ));
            }
        }
    }

    async fn list(&mut self, connection: &mut Connection) -> Result<(), End> {
        let faults = connection.list(&mut self.known).await?;
        self.must_list = false;
        self.keeper.changed();
        let (revision, objects) = (self.known.revision, self.known.objects());
        self.send(Update::All { revision, objects }).await?;
        for (key, why) in faults {
            self.send(Update::Bad { key, why }).await?;
        }
        Ok(())
    }

    /// Waits until etcd says that it watches. False: it is not the etcd that we know, or it has lost what we know; it
    /// would have us wait in silence until it gets as far as we are.
    async fn begins_where_we_are(&mut self, stream: &mut WatchStream) -> Result<bool, End> {
        let Some(message) = within(self.settings.request_timeout, stream.message()).await? else {
            return Err(ended());
        };
        if message.canceled() && message.compact_revision() == 0 {
            return Err(cancelled(&message));
        }
        let here = |it: &etcd_client::ResponseHeader| {
            it.cluster_id() == self.known.cluster && it.revision() >= self.known.revision
        };
        Ok(!message.canceled() && message.header().is_some_and(here))
    }

    async fn watch(&mut self, connection: &Connection, stream: &mut WatchStream) -> Result<Compacted, End> {
        // Nothing has come yet. It may be that it can't: a message that is too large fails each time.
        self.must_list = true;
        let mut batch = Batch::default();
        let end = self.pass_on(connection, stream, &mut batch).await;
        // However it ended, what has come is good.
        while let Some(update) = batch.pop() {
            self.send(update).await?;
        }
        end
    }

    async fn pass_on(
        &mut self,
        connection: &Connection,
        stream: &mut WatchStream,
        batch: &mut Batch,
    ) -> Result<Compacted, End> {
        let (sender, limit) = (self.sender.clone(), self.settings.request_timeout);
        let mut silent_at = Instant::now() + limit;
        let mut asking: Option<Question> = None;
        loop {
            self.keeper.keep_if_due(&self.known);
            tokio::select! {
                // What is there already is taken before anything is sent, so that what comes together goes together.
                biased;
                message = stream.message(), if !batch.is_full() => {
                    silent_at = Instant::now() + limit;
                    if let Some(compacted) = self.take(message, batch)? {
                        return Ok(compacted);
                    }
                }
                permit = sender.reserve(), if !batch.is_empty() => {
                    let Ok(permit) = permit else { return Err(End::Closed) };
                    if let Some(update) = batch.pop() {
                        permit.send(update);
                    }
                }
                () = self.keeper.due() => {}
                answer = answered(&mut asking), if asking.is_some() => {
                    answer.map_err(|why| format!("no sign of life: {why}"))?;
                    // It was quiet all this while: nothing waits to come that can't.
                    self.must_list = false;
                    (silent_at, asking) = (Instant::now() + limit, None);
                }
                () = sleep_until(silent_at), if asking.is_none() => {
                    asking = Some(Box::pin(connection.sign_of_life()));
                }
            }
        }
    }

    fn take(
        &mut self,
        message: Result<Option<WatchResponse>, Error>,
        batch: &mut Batch,
    ) -> Result<Option<Compacted>, End> {
        let message = message.map_err(|error| End::Failed(explain(&error)))?.ok_or_else(ended)?;
        if message.compact_revision() > 0 {
            return Ok(Some(Compacted));
        }
        if message.canceled() {
            return Err(cancelled(&message));
        }
        let mut revision = self.known.revision;
        for kv in message.events().iter().filter_map(etcd_client::Event::kv) {
            // Only a key that was deleted has version 0. (The event's type is not asked: an unknown one panics.)
            let value = (kv.version() > 0).then(|| kv.value());
            self.known.event(kv.mod_revision(), kv.key(), value, batch)?;
            revision = revision.max(kv.mod_revision());
            self.keeper.changed();
        }
        self.known.revision = revision;
        self.must_list = false;
        Ok(None)
    }

    pub(super) async fn send(&self, update: Update) -> Result<(), End> {
        self.sender.send(update).await.map_err(|_| End::Closed)
    }
}

/// A question to etcd, under way.
type Question = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// Its answer; never, where none was asked.
async fn answered(question: &mut Option<Question>) -> Result<(), String> {
    match question {
        Some(question) => question.await,
        None => std::future::pending().await,
    }
}

fn ended() -> End {
    End::Failed("etcd ended the watch".to_owned())
}

fn cancelled(message: &WatchResponse) -> End {
    End::Failed(format!("etcd cancelled the watch: {}", message.cancel_reason()))
}
