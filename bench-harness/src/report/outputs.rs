//! The files that a run leaves. All are created before it begins: a path that can't be written to costs no run.
use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use hdrhistogram::Histogram;
use serde::Serialize;

use super::{Figures, csv, hgrm, hlog};
use crate::{
    fault::{At, Fault, Result},
    load::{Interval, options::LoadArgs},
    release,
};

/// The files asked for.
pub struct Outputs {
    json: Option<Output>,
    hgrm: Option<Output>,
    hlog: Option<Output>,
    csv: Option<Output>,
    hlog_begun: bool,
    /// What went wrong first while the run went on.
    fault: Option<Fault>,
}

/// The figures as they are written down.
#[derive(Serialize)]
struct Marked<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<&'static str>,
    #[serde(flatten)]
    figures: &'a Figures,
}

struct Output {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Outputs {
    /// Creates them, emptying those that exist.
    pub fn create(args: &LoadArgs) -> Result<Self> {
        let mut outputs = Self {
            json: Output::create(args.json.as_deref())?,
            hgrm: Output::create(args.hgrm.as_deref())?,
            hlog: Output::create(args.hlog.as_deref())?,
            csv: Output::create(args.csv.as_deref())?,
            hlog_begun: false,
            fault: None,
        };
        if let Some(output) = &mut outputs.csv {
            output.write(|file| {
                release::mark().map_or(Ok(()), |mark| writeln!(file, "# {mark}"))?;
                csv::begin(file)
            })?;
        }
        Ok(outputs)
    }

    /// Writes down an interval. A run goes on without a log that fails; [`Outputs::finish`] tells.
    pub fn log(&mut self, interval: &Interval) {
        if let Err(fault) = self.try_log(interval) {
            self.fault.get_or_insert(fault);
            (self.csv, self.hlog) = (None, None);
        }
    }

    fn try_log(&mut self, interval: &Interval) -> Result<()> {
        if let Some(output) = &mut self.csv {
            output.write(|file| csv::append(file, interval))?;
        }
        if let Some(output) = &mut self.hlog {
            if !std::mem::replace(&mut self.hlog_begun, true) {
                output.write(|file| hlog::begin(file, interval.began))?;
            }
            output.write(|file| hlog::append(file, interval))?;
        }
        Ok(())
    }

    /// Writes down the result.
    pub fn finish(mut self, figures: &Figures, latency: &Histogram<u64>) -> Result<()> {
        if let Some(output) = &mut self.json {
            let text = serde_json::to_string_pretty(&Marked { warning: release::mark(), figures })
                .at("figures as JSON")?;
            output.write(|file| writeln!(file, "{text}"))?;
        }
        if let Some(output) = &mut self.hgrm {
            output.write(|file| file.write_all(hgrm::render(latency).as_bytes()))?;
        }
        self.fault.map_or(Ok(()), Err)
    }
}

impl Output {
    fn create(path: Option<&Path>) -> Result<Option<Self>> {
        let Some(path) = path else { return Ok(None) };
        let file = File::create(path).at(format!("cannot write {}", path.display()))?;
        Ok(Some(Self { path: path.to_owned(), file: BufWriter::new(file) }))
    }

    /// Writes, and lets others see it at once: a log may be followed while the run goes on.
    fn write(&mut self, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> Result<()> {
        write(&mut self.file)
            .and_then(|()| self.file.flush())
            .at(format!("cannot write {}", self.path.display()))
    }
}
