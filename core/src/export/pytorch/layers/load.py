def load(path=None):
    """The network with the weights of a safetensors file (that beside this one), ready to predict."""
    path = path or Path(__file__).with_name("model.safetensors")
    network = Network()
    network.load_state_dict(read_tensors(path))
    return network.eval()


def read_tensors(path):
    """The tensors of a safetensors file: the header's length, a JSON header, raw numbers."""
    types = {"F32": torch.float32, "F64": torch.float64, "I64": torch.int64}
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        numbers = bytearray(file.read())
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        flat = torch.frombuffer(numbers[begin:end], dtype=types[entry["dtype"]])
        tensors[name] = flat.reshape(entry["shape"])
    return tensors
