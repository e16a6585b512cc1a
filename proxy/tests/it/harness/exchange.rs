//! Exchanges, and the beginnings of them, in a line each: what most tests start from.

use super::{
    Client, Origin, Proxy, Response, Wire,
    replies::{GET, OK},
};

impl Wire {
    /// Sends `request` and reads its response.
    #[track_caller]
    pub fn ask(&mut self, request: impl AsRef<[u8]>) -> Response {
        self.send(request);
        self.read_response()
    }
}

impl Proxy {
    /// A client that has sent this to the first listener.
    #[track_caller]
    pub fn asking(&self, bytes: impl AsRef<[u8]>) -> Client {
        let mut client = self.connect();
        client.send(bytes);
        client
    }

    /// A client whose request has come to `origin` (one made by `manual`) on a connection that was opened for it, and
    /// that connection.
    #[track_caller]
    pub fn under_way(&self, origin: &Origin, request: impl AsRef<[u8]>) -> (Client, Wire) {
        let client = self.asking(request);
        let mut upstream = origin.accept();
        upstream.read_request();
        (client, upstream)
    }
}

impl Origin {
    /// Has `client` ask once more, and answers on the connection that is opened for it.
    #[track_caller]
    pub fn serves(&self, client: &mut Client) -> Wire {
        client.send(GET);
        let mut upstream = self.accept();
        upstream.read_request();
        upstream.send(OK);
        client.read_response().expect(200);
        upstream
    }
}
