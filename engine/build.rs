//! Compiles the place of libtorch into the binary, so that it runs without `LD_LIBRARY_PATH`.

fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    println!("cargo:rerun-if-env-changed=LIBTORCH_LIB");
    let libtorch = std::env::var("LIBTORCH_LIB").or_else(|_| std::env::var("LIBTORCH"));
    if let Ok(libtorch) = libtorch {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{libtorch}/lib");
        println!("cargo:rustc-env=SKEIN_LIBTORCH={libtorch}");
        let version = format!("{libtorch}/build-version");
        println!("cargo:rerun-if-changed={version}");
        if let Ok(version) = std::fs::read_to_string(version) {
            println!("cargo:rustc-env=SKEIN_LIBTORCH_VERSION={}", version.trim());
        }
    }
}
