//! `akamai-exporter dashboards`: writes, rewrites, checks or imports dashboards.

use std::io::{Write, stderr, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory};

use super::{Cli, block_on, say};
use crate::dashboards::files::{self, Destination, Document, Planned, STANDARD_INPUT, Verdict, references};
use crate::dashboards::grafana::{self, Address, Grafana};
use crate::dashboards::{Uid, render, rewrite};

#[derive(Args, Debug)]
#[command(
    after_help = "Exit status: 0 when done, 1 when --check finds something to change or anything fails, 2 for wrong usage."
)]
pub(super) struct Dashboards {
    /// The uid of the Prometheus datasource; with --grafana it is found if there is only one, or one is the default
    #[arg(short, long, value_name = "UID", required_unless_present = "grafana")]
    datasource: Option<Uid>,
    /// Dashboards to rewrite, whoever made them, or - for standard input; without any the bundled ones are written
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The folder to write to, which is made if it is missing
    #[arg(long, value_name = "DIR", default_value = "dashboards", conflicts_with_all = ["in_place", "grafana"])]
    output: PathBuf,
    /// Replace the given files
    #[arg(long, requires = "files")]
    in_place: bool,
    /// Write nothing, report what would change, and exit with 1 if anything would
    #[arg(long)]
    check: bool,
    /// Import the dashboards over the HTTP API of the Grafana at this address, instead of writing files
    #[arg(long, value_name = "URL", requires = "token_file", conflicts_with_all = ["in_place", "check"])]
    grafana: Option<Address>,
    /// The file with the token of a Grafana service account
    #[arg(long, value_name = "FILE", requires = "grafana")]
    token_file: Option<PathBuf>,
    /// The title of the folder to import into, which is made if it is missing
    #[arg(long, value_name = "NAME", default_value = "Akamai", requires = "grafana", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    folder: String,
}

impl Dashboards {
    /// What clap cannot express: standard input comes alone, and goes to standard output.
    pub(super) fn consistent(&self) -> Result<(), clap::Error> {
        let is_alone = self.files.len() == 1 && !self.in_place && self.grafana.is_none();
        if self.has_input() && !is_alone {
            let words = "- stands for standard input and output: it takes no other file, no --in-place and no --grafana";
            return Err(Cli::command().error(ErrorKind::ArgumentConflict, words));
        }
        Ok(())
    }

    fn has_input(&self) -> bool {
        self.files.iter().any(|file| file.as_os_str() == STANDARD_INPUT)
    }

    /// Does it, and tells what it did.
    pub(super) fn run(&self) -> ExitCode {
        match self.act() {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => {
                // For a person at a terminal, so without a log line's trimmings.
                say(stderr(), &format!("{error:#}"));
                ExitCode::FAILURE
            }
        }
    }

    /// Whether all is well.
    fn act(&self) -> anyhow::Result<bool> {
        let documents = if self.files.is_empty() { files::bundled()? } else { files::load(&self.files)? };
        match (&self.grafana, &self.datasource) {
            (Some(address), _) => self.import(address, &documents).map(|()| true),
            (None, Some(datasource)) if self.check => check(&documents, datasource, &self.output),
            (None, Some(datasource)) if self.has_input() => {
                for document in &documents {
                    let text = render(&rewrite(&document.json, datasource)?.document);
                    stdout().write_all(text.as_bytes()).context("cannot write to standard output")?;
                }
                Ok(true)
            }
            (None, Some(datasource)) => {
                let to = if self.in_place {
                    Destination::InPlace
                } else {
                    Destination::Folder(self.output.clone())
                };
                write(files::plan(&documents, datasource, &to)?, self.in_place).map(|()| true)
            }
            // Clap has seen to that.
            (None, None) => Ok(false),
        }
    }

    fn import(&self, address: &Address, documents: &[Document]) -> anyhow::Result<()> {
        let token = grafana::read_token(self.token_file.as_deref().unwrap_or(Path::new("")))?;
        let grafana = Grafana::new(address.clone(), token)?;
        block_on(async {
            grafana
                .import(documents, self.datasource.as_ref(), &self.folder, &mut |line| say(stdout(), line))
                .await
        })
    }
}

fn check(documents: &[Document], datasource: &Uid, folder: &Path) -> anyhow::Result<bool> {
    let findings = files::check(documents, datasource, folder)?;
    for finding in &findings {
        say(stdout(), &finding.to_string());
    }
    Ok(findings.iter().all(|finding| finding.verdict == Verdict::Unchanged))
}

/// What is in place and right already is left alone.
fn write(planned: Vec<Planned>, in_place: bool) -> anyhow::Result<()> {
    let (unchanged, planned): (Vec<_>, Vec<_>) =
        planned.into_iter().partition(|planned| in_place && planned.changes == 0);
    files::write(&planned)?;
    for planned in &unchanged {
        say(stdout(), &format!("unchanged {}", planned.name));
    }
    for planned in &planned {
        let file = if in_place { planned.name.clone() } else { planned.target.display().to_string() };
        say(stdout(), &format!("written {file}: {}", references(planned.changes)));
    }
    Ok(())
}
