//! What an upgraded connection carries.

use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};

use super::{connection::Site, limits::Limits, pool::Upstream, wire::Wire};

impl Site {
    /// Passes bytes both ways until one side has nothing more to say.
    pub(super) async fn tunnel<S: AsyncRead + AsyncWrite + Unpin>(&self, client: &Wire<S>, application: &Upstream) {
        let limits = self.local.plane.limits;
        let mut draining = self.local.draining.clone();
        tokio::select! {
            () = pump(client, &application.wire, &limits) => {}
            () = pump(&application.wire, client, &limits) => {}
            _ = draining.wait_for(|draining| *draining) => {}
        }
        (client.finish().await, application.wire.finish().await);
    }
}

async fn pump<A, B>(from: &Wire<A>, to: &Wire<B>, limits: &Limits)
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        let piece = from.received().to_vec();
        from.take(piece.len());
        if !matches!(timeout(limits.send, to.send(&piece)).await, Ok(Ok(()))) {
            return;
        }
        if !matches!(timeout(limits.silence, from.fill()).await, Ok(Ok(1..))) {
            return;
        }
    }
}
