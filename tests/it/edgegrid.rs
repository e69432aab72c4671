//! The signatures of the real binary, verified by an implementation that is not ours: Akamai's `edgegrid-python`.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;

use crate::process::{PATIENCE, Process, lines, write};
use crate::tools::python;

const LIBRARY: &str = "edgegrid-python==2.0.9";

/// The verifying server, with what it says of each request.
struct Verifier {
    child: Child,
    lines: Receiver<String>,
    port: String,
}

impl Verifier {
    fn start(edgerc: &Path) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/edgegrid_verify.py");
        let mut command = Command::new(python(LIBRARY));
        let mut child = command.arg(script).arg(edgerc).stdout(Stdio::piped()).spawn().unwrap();
        let lines = lines(child.stdout.take().unwrap());
        let first = lines.recv_timeout(PATIENCE).unwrap();
        let port = first.strip_prefix("listening ").unwrap().to_owned();
        Self { child, lines, port }
    }

    fn next(&self) -> String {
        self.lines.recv_timeout(PATIENCE).unwrap()
    }
}

impl Drop for Verifier {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn edgerc(host: &str) -> String {
    format!(
        "[default]\nhost = {host}\nclient_secret = abcdEcSnaAtasdas123FNkBxy456z25qx9Yp5CPUxlEfQeTDkfh4QA=\n\
         access_token = akab-zyx987xa6osbli4k-e7jf5ikib5jknes3\nclient_token = akab-nomadoflavjuc4422-fa2xznerxrm3teg7\n"
    )
}

#[test]
fn akamai_s_own_library_makes_the_same_signatures() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("edgerc");
    std::fs::write(&file, edgerc("akab-host.luna.akamaiapis.net")).unwrap();
    let verifier = Verifier::start(&file);
    // The library has its own copy of the credentials in memory by now.
    std::fs::write(&file, edgerc(&format!("http://127.0.0.1:{}/", verifier.port))).unwrap();
    let ini = format!(
        "[exporter]\npolling_interval = 1\n[akamai]\nedgerclocation = {}\naccountSwitchKey = 1-5C0YLB:1-8BYUX\n\
         cpcode = 1209788\ndeliverynetwork = STANDARD_TLS\n\
         [estats urls]\nurls = https://example.com/ä?q=%22x%22&y=1\n",
        file.display()
    );
    let ini = write(directory.path(), &ini);
    let arguments = ["--config.file", ini.to_str().unwrap(), "--web.listen-address=127.0.0.1:0"];
    let _exporter = Process::start(&arguments, &[]);
    let mut nonces = BTreeSet::new();
    while nonces.len() < 8 {
        let line = verifier.next();
        let words: Vec<_> = line.split(' ').collect();
        assert_eq!(words[0], "verified", "{line}");
        assert_eq!(words[2], "/edge-diagnostics/v1/estats?accountSwitchKey=1-5C0YLB%3A1-8BYUX");
        assert!(nonces.insert(words[1].to_owned()), "a nonce was used twice: {line}");
    }
}
