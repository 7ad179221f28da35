// A folder as an archive, without reading it: headers are made here, contents stay references to files until they are sent.

/** A file, and its path below the folder that was chosen. */
export interface Named {
  path: string;
  file: File;
}

const BLOCK = 512;
/** Bytes that the old header keeps of a name. */
const NAME = 100;
const text = new TextEncoder();

/** The archive of some files. */
export function archive(files: Named[]): Blob {
  const parts: BlobPart[] = [];
  for (const { path, file } of files) {
    const name = text.encode(path);
    if (name.length > NAME || name.length !== path.length) parts.push(...long(path));
    parts.push(header(name.slice(0, NAME), file.size, "0"), file, padding(file.size));
  }
  parts.push(new Uint8Array(2 * BLOCK));
  return new Blob(parts);
}

/** A name that the old header cannot hold goes before it (POSIX.1-2001, `path`). */
function long(path: string): BlobPart[] {
  const record = (length: number): Uint8Array<ArrayBuffer> => text.encode(`${length} path=${path}\n`);
  // The length counts its own digits.
  let length = record(0).length;
  while (record(length).length !== length) length = record(length).length;
  const body = record(length);
  return [header(text.encode("name"), body.length, "x"), body, padding(body.length)];
}

function header(name: Uint8Array<ArrayBuffer>, size: number, kind: string): Uint8Array<ArrayBuffer> {
  const block = new Uint8Array(BLOCK);
  const put = (at: number, value: string): void => block.set(text.encode(value), at);
  block.set(name, 0);
  put(100, "0000644\0");
  put(108, "0000000\0");
  put(116, "0000000\0");
  // Eleven digits hold eight GiB, more than a browser's file of pictures has.
  put(124, `${size.toString(8).padStart(11, "0")}\0`);
  put(136, "00000000000\0");
  put(148, "        ");
  put(156, kind);
  put(257, "ustar\0" + "00");
  const sum = block.reduce((all, byte) => all + byte, 0);
  put(148, `${sum.toString(8).padStart(6, "0")}\0 `);
  return block;
}

function padding(size: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array((BLOCK - (size % BLOCK)) % BLOCK);
}

/** All files of a folder that was dropped; hidden ones are passed over. */
export async function filesOf(folder: FileSystemDirectoryEntry): Promise<Named[]> {
  const found: Named[] = [];
  const walk = async (entry: FileSystemEntry, path: string): Promise<void> => {
    if (entry.name.startsWith(".")) return;
    if (entry.isFile) {
      const file = await new Promise<File>((done, fail) => (entry as FileSystemFileEntry).file(done, fail));
      found.push({ path, file });
      return;
    }
    const reader = (entry as FileSystemDirectoryEntry).createReader();
    for (;;) {
      // A reader gives a hundred entries at a time.
      const some = await new Promise<FileSystemEntry[]>((done, fail) => reader.readEntries(done, fail));
      if (some.length === 0) return;
      for (const inner of some) await walk(inner, path ? `${path}/${inner.name}` : inner.name);
    }
  };
  await walk(folder, "");
  return sorted(found);
}

/** The files of a folder that was chosen. */
export function filesChosen(list: FileList): Named[] {
  const named = [...list].map((file) => ({ path: file.webkitRelativePath.split("/").slice(1).join("/"), file }));
  return sorted(named.filter(({ path }) => !path.split("/").some((part) => part.startsWith("."))));
}

/** In one order, so that an upload that broke off can go on. */
function sorted(files: Named[]): Named[] {
  return files.sort((one, other) => (one.path < other.path ? -1 : 1));
}
