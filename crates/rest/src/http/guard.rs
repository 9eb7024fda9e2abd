//! A client that sends the head of a request too slowly, or stops reading its answer, is cut off.
//!
//! hyper's own limit also counts the time in which a connection kept open waits for its next request, so it cannot
//! be short; this one begins with the first byte of a head. For writing hyper has no limit.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::activity::Activity;
use super::linger::Linger;

/// How long a client may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// For the head of a request, from its first byte.
    pub(super) head: Duration,
    /// To read on, when it has stopped.
    pub(super) stall: Duration,
}

/// A stream whose client must keep these times.
pub(super) struct Guard<S> {
    inner: S,
    /// What was read before the stream came here.
    ahead: Option<u8>,
    patience: Patience,
    activity: Arc<Activity>,
    /// Runs while a head is arriving, with the number of heads that had arrived before it.
    head: Option<(u64, Pin<Box<Sleep>>)>,
    /// Runs while the client takes nothing.
    stall: Option<Pin<Box<Sleep>>>,
    linger: Linger,
}

impl<S> Guard<S> {
    /// Guards a stream of which `ahead` was read already.
    pub(super) fn new(
        inner: S,
        ahead: u8,
        patience: Patience,
        activity: Arc<Activity>,
        linger: Linger,
    ) -> Self {
        Self {
            inner,
            ahead: Some(ahead),
            patience,
            activity,
            head: None,
            stall: None,
            linger,
        }
    }

    /// Returns whether the client may be sending what nobody will read: the rest of a body, or what follows a head
    /// that broke the rules.
    fn has_unread(&self) -> bool {
        let heads = self.activity.heads();
        let is_broken = |(before, _): &(u64, _)| *before == heads;
        self.activity.has_left_unread() || self.head.as_ref().is_some_and(is_broken)
    }

    /// Passes on what came of writing, unless the client has taken nothing for too long.
    fn written<T>(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            match self.stall.take() {
                Some(_) => self.activity.writing(false),
                None => self.activity.progress(),
            }
            return polled;
        }
        let patience = self.patience.stall;
        let stall = self.stall.get_or_insert_with(|| {
            self.activity.writing(true);
            sleep(patience)
        });
        match stall.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => polled,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let heads = self.activity.heads();
        // The head that it was for has arrived.
        self.head = self.head.take().filter(|(before, _)| *before == heads);
        if let Some((_, deadline)) = &mut self.head
            && deadline.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buffer.filled().len();
        let polled = match self.ahead.take() {
            Some(byte) if buffer.remaining() > 0 => {
                buffer.put_slice(&[byte]);
                Poll::Ready(Ok(()))
            }
            ahead => {
                self.ahead = ahead;
                Pin::new(&mut self.inner).poll_read(cx, buffer)
            }
        };
        let arrived = buffer.filled().len() > before;
        if arrived && !self.activity.is_answering() && self.head.is_none() {
            self.head = Some((heads, sleep(self.patience.head)));
        }
        polled
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.written(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.written(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_flush(cx);
        self.written(cx, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.linger.is_open() {
            let polled = Pin::new(&mut this.inner).poll_shutdown(cx);
            ready!(this.written(cx, polled))?;
            let is_sending = this.has_unread();
            this.linger.begin(is_sending);
        }
        this.linger.poll(cx, &mut this.inner).map(Ok)
    }
}

fn sleep(patience: Duration) -> Pin<Box<Sleep>> {
    Box::pin(tokio::time::sleep_until(
        Instant::now() + patience.min(LONGEST),
    ))
}

/// As good as none.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use tokio_util::sync::CancellationToken;

    use super::super::activity::Waiting;
    use super::super::discard::Afterwards;
    use super::*;

    fn guarded(buffer: usize) -> (DuplexStream, Guard<DuplexStream>, Arc<Activity>) {
        let (client, server) = tokio::io::duplex(buffer);
        let activity = Arc::new(Waiting::default()).enter([127, 0, 0, 1].into());
        let patience = Patience {
            head: Duration::from_secs(30),
            stall: Duration::from_secs(20),
        };
        let bounds = Afterwards {
            max_bytes: 100,
            pause: Duration::from_secs(5),
            time: Duration::from_secs(30),
        };
        let linger = Linger::new(bounds, CancellationToken::new());
        let guard = Guard::new(server, b'P', patience, Arc::clone(&activity), linger);
        (client, guard, activity)
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_has_its_time_from_the_byte_read_ahead() {
        let (mut client, mut guard, _activity) = guarded(64);
        client.write_all(b"OST").await.unwrap();
        let mut buffer = [0; 4];
        guard.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"POST");
        let begun = Instant::now();
        let error = guard.read_exact(&mut buffer).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed().as_secs(), 30);
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_and_waiting_cost_none_of_it() {
        let (mut client, mut guard, activity) = guarded(64);
        let mut buffer = [0; 4];
        client.write_all(b"OST").await.unwrap();
        guard.read_exact(&mut buffer).await.unwrap();
        let answering = activity.begin();
        let body = tokio::time::timeout(Duration::from_secs(100), guard.read_exact(&mut buffer));
        assert!(
            body.await.is_err(),
            "the rest of a request may take its time"
        );
        drop(answering);
        client.write_all(b"GET ").await.unwrap();
        guard.read_exact(&mut buffer).await.unwrap();
        // It arrives and is answered without another look; then the connection waits for its next request.
        drop(activity.begin());
        let idle = tokio::time::timeout(Duration::from_secs(100), guard.read_exact(&mut buffer));
        assert!(idle.await.is_err(), "waiting costs no time");
        client.write_all(b"GET ").await.unwrap();
        guard.read_exact(&mut buffer).await.unwrap();
        assert!(guard.read_exact(&mut buffer).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn who_still_sends_is_let_finish_within_bounds() {
        // Ends by itself; pauses too long; sends too much; takes too long.
        for (pieces, every, length, waited) in [
            (3, 4, 10, 12),
            (1, 1, 1, 6),
            (20, 1, 20, 6),
            (100, 4, 1, 30),
        ] {
            let (mut client, mut guard, activity) = guarded(1000);
            activity.leave_unread();
            let sending = tokio::spawn(async move {
                for _ in 0..pieces {
                    tokio::time::sleep(Duration::from_secs(every)).await;
                    if client.write_all(&vec![0; length]).await.is_err() {
                        return;
                    }
                }
                if pieces == 1 {
                    tokio::time::sleep(Duration::from_secs(100)).await;
                }
            });
            let begun = Instant::now();
            guard.shutdown().await.unwrap();
            assert_eq!(begun.elapsed().as_secs(), waited, "{pieces} of {length}");
            sending.abort();
        }
        let (_client, mut guard, _activity) = guarded(8);
        let begun = Instant::now();
        guard.shutdown().await.unwrap();
        assert_eq!(begun.elapsed().as_secs(), 0, "nothing was left unread");
    }

    #[tokio::test(start_paused = true)]
    async fn who_stops_reading_is_cut_off_and_who_reads_slowly_is_not() {
        let (mut client, mut guard, _activity) = guarded(8);
        let answer = [0; 64];
        let begun = Instant::now();
        let slow = async {
            let mut piece = [0; 8];
            for _ in 0..4 {
                tokio::time::sleep(Duration::from_secs(19)).await;
                client.read_exact(&mut piece).await.unwrap();
            }
            std::future::pending::<()>().await;
        };
        let error = tokio::select! {
            written = guard.write_all(&answer) => written.unwrap_err(),
            () = slow => unreachable!(),
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed().as_secs(), 4 * 19 + 20);
    }
}
