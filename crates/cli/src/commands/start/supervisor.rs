//! Tells systemd what the node does, where a unit of type `notify` asks for it. Source: sd_notify(3).

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The node is up.
pub const READY: &str = "READY=1";
/// The node stops.
pub const STOPPING: &str = "STOPPING=1";

/// Sends a state to the socket that `NOTIFY_SOCKET` names, if any.
pub fn tell(state: &str) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET").filter(|socket| !socket.is_empty()) else {
        return;
    };
    if let Err(error) = send(&socket, state) {
        let socket = socket.to_string_lossy();
        tracing::warn!(%error, "cannot tell [{state}] to NOTIFY_SOCKET [{socket}]");
    }
}

fn send(socket: &OsStr, state: &str) -> io::Result<()> {
    let datagrams = UnixDatagram::unbound()?;
    // A full queue of the supervisor must not hold up the node.
    datagrams.set_nonblocking(true)?;
    datagrams.send_to_addr(state.as_bytes(), &address(socket)?)?;
    Ok(())
}

/// A path, or with `@` first a name in the abstract namespace.
fn address(socket: &OsStr) -> io::Result<SocketAddr> {
    #[cfg(target_os = "linux")]
    if let Some(name) = socket.as_bytes().strip_prefix(b"@") {
        use std::os::linux::net::SocketAddrExt;
        return SocketAddr::from_abstract_name(name);
    }
    match socket.as_bytes().starts_with(b"/") {
        true => SocketAddr::from_pathname(socket),
        false => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "expected an absolute path, or @ and a name",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_sockets_are_told() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let name = format!("@ringwall-{}", ringwall_base::random_uuid());
        let abstract_address = address(OsStr::new(&name)).unwrap();
        for (socket, listener) in [
            (path.as_os_str(), UnixDatagram::bind(&path).unwrap()),
            (
                OsStr::new(&name),
                UnixDatagram::bind_addr(&abstract_address).unwrap(),
            ),
        ] {
            send(socket, READY).unwrap();
            let mut text = [0; 64];
            let length = listener.recv(&mut text).unwrap();
            assert_eq!(&text[..length], READY.as_bytes());
        }
        assert!(send(OsStr::new("relative"), READY).is_err());
    }
}
