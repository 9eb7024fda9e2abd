//! The network of the simulation, as the transport sees it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use futures::FutureExt;
use futures::future::BoxFuture;
use ringwall_tls::ByteStream;
use ringwall_transport::{Acceptor, Network};
use turmoil::net::{TcpListener, TcpStream};

/// The network of the node that asks.
pub struct Simulated;

impl Network for Simulated {
    fn listen(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Acceptor>>> {
        async move {
            let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await?;
            Ok(Box::new(Accepting(listener)) as Box<dyn Acceptor>)
        }
        .boxed()
    }

    fn connect(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn ByteStream>>> {
        async move {
            let stream = TcpStream::connect(address).await?;
            Ok(Box::new(stream) as Box<dyn ByteStream>)
        }
        .boxed()
    }
}

struct Accepting(TcpListener);

impl Acceptor for Accepting {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(Box<dyn ByteStream>, SocketAddr)>> {
        async move {
            let (stream, peer) = self.0.accept().await?;
            Ok((Box::new(stream) as Box<dyn ByteStream>, peer))
        }
        .boxed()
    }
}
