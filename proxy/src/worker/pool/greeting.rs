//! What an upstream connection begins with: a PROXY protocol header, where the upstream asks for one.
//!
//! The header says whose connection it is, so it serves that client and no other. It serves one request, even: whether the
//! next one comes from the same client is not known before it comes, and would a connection wait for it, every idle client
//! would hold one.

use super::{Lease, Pool};
use crate::{
    http::RequestHead,
    proxy_protocol::{self, Version},
    worker::{connection::Client, peer},
};

impl Lease {
    /// Appends what a connection that has just been opened begins with.
    #[inline]
    pub fn greet(&self, client: &Client, head: &RequestHead, out: &mut Vec<u8>) {
        if let Some(version) = self.connection.as_ref().and_then(|connection| connection.greeting) {
            proxy_protocol::write(out, version, peer::both(client, head));
        }
    }
}

impl Pool {
    /// A new table says what connections are to begin with. Idle ones that began otherwise are of no more use.
    pub(super) fn greet_with(&self, version: Option<Version>) {
        if self.settings.borrow().proxy_protocol != version {
            for state in self.endpoints.borrow().iter() {
                self.drop_all_idle(state);
            }
        }
    }
}
