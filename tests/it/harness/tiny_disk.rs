//! A disk of a few megabytes that can really be full: a tmpfs in a mount namespace of its own.
//!
//! One process holds the namespace, and nothing is left when it ends. The binary enters it; the test itself
//! copies files in and out through `/proc/PID/root` (SQLite resolves that link and would miss the disk).

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::binary;
use super::foreign::end_by_stdin;
use super::process::Process;

/// A mounted disk; gone with this value, and with the test process however that ends.
pub struct TinyDisk {
    holder: Child,
    mounted_at: PathBuf,
}

impl TinyDisk {
    /// Mounts a disk of `kib` KiB over a folder, with what the folder holds, for [`Self::process`] alone.
    pub fn over(folder: &Path, kib: u64) -> Self {
        let script =
            r#"mount -t tmpfs -o size="$2"k,mode=700 none "$1" && echo mounted && exec cat"#;
        let mut holder = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"])
            .arg(folder)
            .arg(kib.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare (util-linux) is needed to play a full disk");
        let mut line = String::new();
        BufReader::new(holder.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "mounted\n", "no namespace of one's own on this machine: is it allowed?");
        let disk = Self { holder, mounted_at: folder.to_owned() };
        copy(folder, &disk.path());
        disk
    }

    /// The binary with the disk in its place.
    pub fn process(&self, workspace: &Path, state_home: &Path, arguments: &[&str]) -> Process {
        let plain = binary();
        let mut command = Command::new("nsenter");
        command.arg("--target").arg(self.holder.id().to_string());
        command.args(["--user", "--mount", "--preserve-credentials", "--"]);
        command.arg(plain.get_program()).arg("--workspace").arg(workspace).args(arguments);
        for (name, value) in plain.get_envs().filter(|(_, value)| value.is_none()) {
            assert!(value.is_none());
            command.env_remove(name);
        }
        command.env("XDG_STATE_HOME", state_home);
        Process::start(command)
    }

    /// The disk's own folder, as this process finds it.
    pub fn path(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(self.mounted_at.strip_prefix("/").unwrap())
    }

    /// Takes all the space there is, but for so many KiB.
    pub fn fill(&self, but: usize) {
        let mut ballast = File::options().append(true).create(true).open(self.ballast()).unwrap();
        let mut written = 0_u64;
        let ended = loop {
            match ballast.write_all(&[0xFF; 1024]) {
                Ok(()) => written += 1024,
                Err(error) => break error,
            }
        };
        assert_eq!(ended.kind(), std::io::ErrorKind::StorageFull, "{ended}");
        let length = ballast.metadata().unwrap().len().max(written);
        ballast.set_len(length.saturating_sub(but as u64 * 1024)).unwrap();
    }

    /// Gives the space back.
    pub fn free(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }
}

impl Drop for TinyDisk {
    fn drop(&mut self) {
        end_by_stdin(&mut self.holder, std::time::Duration::from_secs(10));
    }
}

/// Copies a folder's content as it is.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    let copied = Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status().unwrap();
    assert!(copied.success());
}
