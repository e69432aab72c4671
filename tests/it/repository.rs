//! The files of the repository, as tests read them.

use std::path::{Path, PathBuf};

/// A file or folder, by its path from the top.
pub fn path(name: impl AsRef<Path>) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// What it holds.
pub fn read(name: impl AsRef<Path>) -> String {
    let file = path(name);
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The files of `folder` whose names end so, in order.
pub fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(path(folder)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|file| name(file).ends_with(ending)).collect();
    files.sort();
    assert!(!files.is_empty(), "no *{ending} in {folder}");
    files
}

/// A file's name without its folder.
pub fn name(file: &Path) -> &str {
    file.file_name().unwrap().to_str().unwrap()
}

/// Copies the rule files of Prometheus into `directory`, as `edit` makes them out of name and text.
pub fn copy_rules(directory: &Path, edit: impl Fn(&str, String) -> String) {
    std::fs::create_dir_all(directory).unwrap();
    for file in files("prometheus/rules", ".yml") {
        let name = name(&file);
        std::fs::write(directory.join(name), edit(name, read(&file))).unwrap();
    }
}
