// Small pictures of the tests' own, and an archive of them.
import { crc32, deflateSync } from "node:zlib";

/** A PNG picture; `colour(x, y)` gives red, green and blue. */
export function png(side, colour) {
  const rows = Buffer.alloc(side * (1 + 3 * side));
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) rows.set(colour(x, y), y * (1 + 3 * side) + 1 + 3 * x);
  }
  const chunk = (kind, data) => {
    const body = Buffer.concat([Buffer.from(kind), data]);
    const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    sum.writeUInt32BE(crc32(body));
    return Buffer.concat([length, body, sum]);
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(side, 0);
  head.writeUInt32BE(side, 4);
  head.set([8, 2, 0, 0, 0], 8);
  const magic = Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]);
  return Buffer.concat([magic, chunk("IHDR", head), chunk("IDAT", deflateSync(rows)), chunk("IEND", Buffer.alloc(0))]);
}

/** Discs, squares and crosses in many colours: `name/000.png` and so on. */
export function shapes(names, each, side = 28) {
  const files = [];
  for (const [kind, name] of names.entries()) {
    for (let i = 0; i < each; i++) {
      const [left, top, ink] = [(i % 5) - 2, (Math.floor(i / 5) % 5) - 2, [220, (i * 37) % 200, (i * 91) % 250]];
      const inside = (x, y) => {
        const [across, down] = [Math.abs(x - left - side / 2), Math.abs(y - top - side / 2)];
        if (kind % 3 === 0) return across ** 2 + down ** 2 < (side / 4) ** 2;
        return kind % 3 === 1 ? across < side / 4 && down < side / 4 : across < 2 || down < 2;
      };
      const bytes = png(side, (x, y) => (inside(x, y) ? ink : [i % 9, 20, 40]));
      files.push({ path: `${name}/${String(i).padStart(3, "0")}.png`, bytes });
    }
  }
  return files;
}

/** A zip archive that packs nothing. */
export function zip(files) {
  const [parts, directory] = [[], []];
  let at = 0;
  for (const { path, bytes } of files) {
    const name = Buffer.from(path);
    const head = Buffer.alloc(30);
    head.writeUInt32LE(0x04034b50, 0);
    head.writeUInt16LE(20, 4);
    // Names are UTF-8.
    head.writeUInt16LE(0x0800, 6);
    head.writeUInt32LE(crc32(bytes), 14);
    head.writeUInt32LE(bytes.length, 18);
    head.writeUInt32LE(bytes.length, 22);
    head.writeUInt16LE(name.length, 26);
    const entry = Buffer.alloc(46);
    entry.writeUInt32LE(0x02014b50, 0);
    entry.writeUInt16LE(20, 4);
    head.copy(entry, 6, 4, 30);
    entry.writeUInt32LE(at, 42);
    parts.push(head, name, bytes);
    directory.push(entry, name);
    at += head.length + name.length + bytes.length;
  }
  const list = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(files.length, 8);
  end.writeUInt16LE(files.length, 10);
  end.writeUInt32LE(list.length, 12);
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...parts, list, end]);
}
