//! How a connection ends whose client is still sending. Closed at once it would be reset, and the reset can reach the
//! client before the answer does, so what still comes is read and thrown away. Source: RFC 9112 section 9.6.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::CancellationToken;

use super::discard::Afterwards;

/// The end of a connection.
pub(super) struct Linger {
    bounds: Afterwards,
    /// The server stops: whoever still sends is late.
    stop: CancellationToken,
    state: State,
}

enum State {
    Open,
    /// Nothing more is written.
    Reading(Box<Reading>),
    Done,
}

struct Reading {
    ends: Pin<Box<dyn Future<Output = ()> + Send>>,
    pause: Pin<Box<Sleep>>,
    left: u64,
    piece: Box<[u8]>,
}

impl Linger {
    /// Reads within these bounds, and not once the server stops.
    pub(super) fn new(bounds: Afterwards, stop: CancellationToken) -> Self {
        Self {
            bounds,
            stop,
            state: State::Open,
        }
    }

    /// Returns whether the sending side is still to be closed.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    /// Takes note that the sending side is closed, and whether the client may still be sending.
    pub(super) fn begin(&mut self, is_sending: bool) {
        if !is_sending {
            self.state = State::Done;
            return;
        }
        let (stop, time) = (self.stop.clone(), self.bounds.time);
        let ends = async move {
            let _ = tokio::time::timeout(time, stop.cancelled()).await;
        };
        self.state = State::Reading(Box::new(Reading {
            ends: Box::pin(ends),
            pause: Box::pin(sleep(self.bounds.pause)),
            left: self.bounds.max_bytes,
            piece: vec![0; PIECE_BYTES].into_boxed_slice(),
        }));
    }

    /// Completes when the client has ended, or had its time.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut (impl AsyncRead + Unpin),
    ) -> Poll<()> {
        let State::Reading(reading) = &mut self.state else {
            return Poll::Ready(());
        };
        let polled = reading.poll(cx, stream, self.bounds);
        if polled.is_ready() {
            self.state = State::Done;
        }
        polled
    }
}

impl Reading {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut (impl AsyncRead + Unpin),
        bounds: Afterwards,
    ) -> Poll<()> {
        if self.ends.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        loop {
            let mut buffer = ReadBuf::new(&mut self.piece);
            match Pin::new(&mut *stream).poll_read(cx, &mut buffer) {
                Poll::Pending => return self.pause.as_mut().poll(cx),
                Poll::Ready(Err(_gone)) => return Poll::Ready(()),
                Poll::Ready(Ok(())) => {}
            }
            let read = buffer.filled().len() as u64;
            if read == 0 || read > self.left {
                return Poll::Ready(());
            }
            self.left -= read;
            self.pause.as_mut().reset(Instant::now() + bounds.pause);
        }
    }
}

const PIECE_BYTES: usize = 8 << 10;
