//! An upstream that has agreed to another protocol.

use bytes::BytesMut;

use super::Forward;
use crate::{
    error::Failure,
    http::{BodyOut, ConnectionField, ResponseEncoding, ResponseHead, encode_response},
    observe::Termination,
    worker::{exchange::Progress, ids, pool::Lease, tunnel},
};

/// A connection that has left HTTP.
pub(super) struct Switched {
    pub(super) lease: Lease,
    /// The 101.
    pub(super) response: ResponseHead,
    /// What the upstream has sent after it.
    pub(super) early: BytesMut,
}

/// The upstream has agreed to another protocol: from here on it is bytes, both ways.
pub(super) async fn switch(
    this: &Forward<'_>,
    Switched { lease, response, early }: Switched,
    buf: &mut BytesMut,
    progress: &mut Progress,
) -> Result<bool, Failure> {
    let worker = &this.client.worker;
    let Some(upstream) = lease.socket_handle() else { return Err(Failure::UpstreamClosed) };
    let mut out = worker.buffers.take_write();
    let date = worker.date();
    let how = ResponseEncoding {
        edits: &this.route.response_headers,
        own: &[],
        date: &date,
        connection: ConnectionField::Upgrade,
        body: BodyOut::AsReceived,
        more: progress.set_cookie.as_deref().unwrap_or_default(),
        request_id: ids::on_response(this.client),
    };
    encode_response(&mut out, &response, &how);
    // What either side has sent early goes first.
    out.extend_from_slice(&early);
    progress.status = response.status.as_u16();
    progress.response_bytes += out.len() as u64;
    worker.buffers.give_write(this.client.write(out).await?);
    this.client.timer.cap(None);
    progress.termination = tunnel::run(this.client, &upstream, std::mem::take(buf), progress).await;
    if worker.cutting() && progress.termination != Termination::TunnelClosed {
        progress.termination = Termination::Draining;
    }
    Ok(false)
}
