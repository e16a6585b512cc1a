//! For ever: a session after the other, with waits between them.

use std::time::Instant;

use tokio::sync::mpsc::Sender;

use super::{
    BACKOFF_MAX, Settings, Status, Update,
    backoff::Backoff,
    known::Known,
    session::{End, Following},
    snapshot::Keeper,
};

/// Follows etcd and sends what it sees, until nobody receives any more. It never fails: what goes wrong is said
/// (`Status::Disconnected`) and tried again, one endpoint after the other, while what was sent stays true.
///
/// Begins with a list, so the first update that matters is `Update::All`. A receiver that is slow costs nothing but
/// delay: meanwhile events of the same key become one. For a tokio runtime with time and input and output; dropping
/// the future writes the last snapshot.
pub async fn follow(settings: Settings, sender: Sender<Update>) {
    let (known, fault) = Known::restored(&settings);
    if let Some(fault) = fault {
        tracing::warn!("etcd: snapshot: {fault}");
    }
    let keeper = Keeper::new(&settings);
    let receiver = sender.clone();
    let mut following = Following { settings, sender, known, keeper, must_list: true, down: None };
    tokio::select! {
        () = receiver.closed() => {}
        () = sessions(&mut following) => {}
    }
}

async fn sessions(following: &mut Following) {
    let mut backoff = Backoff::default();
    for endpoint in following.settings.in_turn() {
        let began = Instant::now();
        let End::Failed(why) = following.session(&endpoint).await else { return };
        if began.elapsed() > BACKOFF_MAX {
            backoff.reset();
        }
        if following.disconnected(why).await.is_err() {
            return;
        }
        let wait = tokio::time::sleep(backoff.next());
        tokio::pin!(wait);
        loop {
            following.keeper.keep_if_due(&following.known);
            tokio::select! {
                () = &mut wait => break,
                () = following.keeper.due() => {}
            }
        }
    }
}

impl Following {
    /// Says so, unless that has been said.
    async fn disconnected(&mut self, why: String) -> Result<(), End> {
        let since = match &self.down {
            Some((_, said)) if *said == why => return Ok(()),
            Some((since, _)) => *since,
            None => Instant::now(),
        };
        self.down = Some((since, why.clone()));
        self.send(Update::Status(Status::Disconnected { since, why })).await
    }
}
