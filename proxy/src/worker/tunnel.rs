//! After 101: bytes both ways, each end closed on its own, until both have ended or nothing moves for too long.

use std::{cell::Cell, future::poll_fn, pin::pin, task::Poll, time::Duration};

use bytes::BytesMut;

use super::{
    connection::{Client, make_room},
    exchange::Progress,
    socket::Socket,
};
use crate::{limits::READ_BUFFER_BYTES, observe::Termination};

/// Carries bytes until both directions have ended. `early` is what the client sent before the upgrade was agreed.
pub async fn run(
    client: &Client,
    upstream: &Socket,
    early: BytesMut,
    progress: &mut Progress,
) -> Termination {
    let worker = &client.worker;
    let counters = worker.counters();
    counters.tunnels_opened.inc();
    counters.tunnels_active.inc();
    let idle = client.listener.tunnel_idle_timeout;
    let (up, down) = (Cell::new(0), Cell::new(0));
    let ended = {
        let mut ups = pin!(copy(client, &client.socket, upstream, early, &up));
        let mut downs = pin!(copy(client, upstream, &client.socket, BytesMut::new(), &down));
        let (mut up_open, mut down_open) = (true, true);
        let both = poll_fn(|cx| {
            if up_open && let Poll::Ready(clean) = ups.as_mut().poll(cx) {
                up_open = false;
                if !clean {
                    return Poll::Ready(());
                }
            }
            if down_open && let Poll::Ready(clean) = downs.as_mut().poll(cx) {
                down_open = false;
                if !clean {
                    return Poll::Ready(());
                }
            }
            if up_open || down_open { Poll::Pending } else { Poll::Ready(()) }
        });
        // Every copy moves the deadline on; see `copy`.
        client.timer.within(idle, both).await
    };
    counters.tunnels_active.dec();
    counters.tunnel_bytes_client.add(up.get());
    counters.tunnel_bytes_upstream.add(down.get());
    progress.request_bytes += up.get();
    progress.response_bytes += down.get();
    if ended.is_ok() { Termination::TunnelClosed } else { Termination::TunnelIdle }
}

/// One direction. True: its sender has ended it in order, and the receiver has been told.
async fn copy(client: &Client, from: &Socket, to: &Socket, mut buf: BytesMut, count: &Cell<u64>) -> bool {
    let buffers = &client.worker.buffers;
    let idle: Duration = client.listener.tunnel_idle_timeout;
    loop {
        if !buf.is_empty() {
            count.set(count.get() + buf.len() as u64);
            client.timer.extend(idle);
            buf = match to.write_plain(buf).await {
                Ok(buf) => buf,
                Err(_) => return false,
            };
            client.timer.extend(idle);
        }
        // No buffer is held while nothing moves.
        buffers.give_read(std::mem::take(&mut buf));
        from.readable().await;
        buf = buffers.take_read();
        make_room(&mut buf, READ_BUFFER_BYTES / 2);
        match from.try_read(&mut buf) {
            Ok(0) => return to.shutdown_write().is_ok(),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return false,
        }
    }
}
