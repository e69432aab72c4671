//! nginx with the exporter's own bytes as static files: as fast as serving a scrape can be.

use std::fs::{self, Permissions};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::tools::tool;

pub(crate) struct Nginx {
    child: Child,
    _directory: TempDir,
    pub(crate) address: SocketAddr,
}

const CONFIGURATION: &str = "\
daemon off;
worker_processes 1;
pid DIRECTORY/pid;
error_log stderr warn;
events {}
http {
    access_log off;
    client_body_temp_path DIRECTORY/body;
    proxy_temp_path DIRECTORY/proxy;
    fastcgi_temp_path DIRECTORY/fastcgi;
    uwsgi_temp_path DIRECTORY/uwsgi;
    scgi_temp_path DIRECTORY/scgi;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000;
    open_file_cache max=16;
    gzip_static on;
    default_type text/plain;
    server {
        listen ADDRESS;
        root DIRECTORY/files;
    }
}
";

impl Nginx {
    pub(crate) fn serving(plain: &[u8], gzip: &[u8]) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let path = directory.path();
        // Started by root, its worker is somebody else.
        fs::set_permissions(path, Permissions::from_mode(0o755))?;
        fs::create_dir(path.join("files"))?;
        fs::write(path.join("files/metrics"), plain)?;
        fs::write(path.join("files/metrics.gz"), gzip)?;
        // It cannot choose a port itself; nobody else takes this one in the meantime, or it says so.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let text = CONFIGURATION
            .replace("DIRECTORY", path.to_str().context("the temporary directory has no UTF-8 name")?)
            .replace("ADDRESS", &address.to_string());
        fs::write(path.join("nginx.conf"), text)?;
        let mut command = Command::new(tool("nginx", "nginx-light"));
        command.arg("-p").arg(path).arg("-c").arg(path.join("nginx.conf")).stdin(Stdio::null());
        let child = command.spawn()?;
        let mut nginx = Self { child, _directory: directory, address };
        nginx.wait()?;
        Ok(nginx)
    }

    fn wait(&mut self) -> Result<()> {
        while TcpStream::connect(self.address).is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("nginx ended with {status}");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // By signal, not kill: its worker must end as well.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}
