// Commands that answer as Slurm's do: the check's tiny job runs at once, other jobs wait until `go` is there.
// What Slurm itself does is tested on a real cluster, in tests/it/slurm.rs.
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

const SBATCH = `
id=$(( $(ls "$jobs" | wc -l) + 1 ))
mkdir "$jobs/$id"
cat > "$jobs/$id/script"
for word; do case $word in --job-name=*) echo "\${word#--job-name=}" > "$jobs/$id/name";; esac; done
case $(cat "$jobs/$id/name") in skein-check-*) bash "$jobs/$id/script" > "$jobs/$id/log" 2>&1 & ;; esac
echo "$id"`;
const SQUEUE = `
for job in "$jobs"/*; do
  [ -e "$job/name" ] || continue
  case $(cat "$job/name") in skein-check-*) state=COMPLETED reason=None node=n1;; *) state=PENDING reason=Priority node=;; esac
  if [ -e "$jobs/../go" ] && [ $state = PENDING ]; then
    [ -e "$job/began" ] || { touch "$job/began"; bash "$job/script" > "$job/log" 2>&1 & }
    state=RUNNING reason=None node=n1
  fi
  echo "\${job##*/}|N/A|\${job##*/}|$state|$reason|$node|$(( $(date +%s) + 3600 ))|0|$(cat "$job/name")|"
done`;
const SINFO = `
[ "$1" = --version ] && { echo "slurm 22.05.8"; exit; }
echo "gpu|up|2-00:00:00|3|idle|gpu:h100:4"
echo "gpu|up|2-00:00:00|1|down*|gpu:h100:4"
echo "old|drain|1:00:00|2|mixed|(null)"`;

/** A folder with such commands and settings of them; `environment` makes a server use them. */
export function makeCluster() {
  const folder = mkdtempSync(join(tmpdir(), "skein-cluster-"));
  const jobs = join(folder, "jobs");
  const bin = join(folder, "bin");
  for (const made of [jobs, bin]) mkdirSync(made);
  for (const [name, script] of Object.entries({ sbatch: SBATCH, squeue: SQUEUE, sinfo: SINFO, scancel: "exit 0" })) {
    writeFileSync(join(bin, name), `#!/bin/sh\njobs='${jobs}'\n${script}\n`);
    chmodSync(join(bin, name), 0o755);
  }
  const settings = join(folder, "slurm.toml");
  writeFileSync(settings, "poll_seconds = 1\n[job]\npartition = 'gpu'\n");
  return {
    environment: { SKEIN_SLURM: settings, PATH: `${bin}${delimiter}${process.env.PATH}` },
    go: () => writeFileSync(join(folder, "go"), ""),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
