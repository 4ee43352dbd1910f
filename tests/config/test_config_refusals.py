"""What is refused, and that the message names the field, the value, what is allowed and the nearest match."""

import pytest

from bnbench.components import components
from bnbench.config import compose_request
from bnbench.norms import NORMS

EVERY = f"({len(NORMS)} in all; "


def problems(overrides, zips=(), excludes=()):
    overrides = overrides.split() if isinstance(overrides, str) else overrides
    return compose_request(overrides, components(), zips, excludes).problems


@pytest.mark.parametrize(
    ("overrides", "parts"),
    [
        # names and keys
        ("norm=grup", ["norm=grup: unknown norm", "did you mean 'group'?", EVERY]),
        ("norm=BATCH", ["norm=BATCH: unknown norm", "did you mean 'batch'?"]),
        ("norm=null", ["norm=null: unknown norm", "did you mean 'none'?"]),
        ("norm=1", ["norm=1: unknown norm", EVERY]),
        ("norm=[batch,group]", ["norm=[batch,group]: must be one name; write norm=batch,group"]),
        ("model=resnet", ["model=resnet: unknown model", "did you mean 'resnet"]),
        ("norm=group norm.group=8", ["norm.group: no option 'group' in norm=group", "did you mean 'groups'?", "eps"]),
        ("norm.groups=4", ["norm.groups: no option 'groups' in norm=batch", "Allowed: affine, eps, momentum, track"]),
        ("norm=none norm.eps=1", ["norm.eps: no option 'eps' in norm=none; it has no options"]),
        ("norm._target_=os.system", ["norm._target_: no option '_target_' in norm=batch"]),
        ("_target_=os.system", ["_target_: unknown key"]),
        (
            "batchsize=8",
            [
                "batchsize: unknown key",
                "did you mean 'batch_size'?",
                ", ... (53 in all; bnbench list settings prints them)",
            ],
        ),
        ("Batch_Size=8", ["did you mean 'batch_size'?"]),
        ("learning_rate=1", ["learning_rate: unknown key", "did you mean 'lr'?"]),
        ("weight_decay=1", ["did you mean 'optim.weight_decay'?"]),
        ("norm=group groups=8", ["did you mean 'norm.groups'?"]),
        ("nrm.eps=8", ["did you mean 'norm.eps'?"]),
        # options of choices that the sweep does not have
        (
            "model=mlp groups=8",
            ["groups: unknown key; did you mean 'norm.groups', with norm=group, norm=evonorm_s0 or norm=ws?"],
        ),
        (
            "nrom.groups=8",
            ["nrom.groups: unknown key; did you mean 'norm.groups', with norm=group, norm=evonorm_s0 or norm=ws?"],
        ),
        ("norm=group nrom.groups=8", ["did you mean 'norm.groups'? Allowed: "]),
        ("chunks=8", ["chunks: unknown key; did you mean 'norm.chunk', with norm=ghost or norm=ghost_noise?"]),
        (
            "norm=none eps=1",
            ["did you mean 'norm.eps', with norm=batch, norm=batch_instance, norm=evonorm_b0 or others?"],
        ),
        ("norm=dyt norm.alpha_init=1", ["Allowed: "]),
        ("validation=0.2", ["did you mean 'split.validation'?"]),
        # names in the literature, and where all names are
        ("norm=bn", ["norm=bn: unknown norm; write norm=batch"]),
        ("norm=LN", ["write norm=layer"]),
        ("norm=gn", ["write norm=group"]),
        ("norm=in", ["write norm=instance"]),
        ("norm=BatchNorm2d", ["write norm=batch"]),
        ("norm=layer_norm", ["write norm=layer"]),
        ("norm=groupnorm", ["write norm=group"]),
        ("norm=InstanceNorm", ["write norm=instance"]),
        ("norm=rms-norm", ["write norm=rms"]),
        ("norm=max", ["norm=max: unknown norm", f"({len(NORMS)} in all; bnbench list norms prints them)"]),
        ("model=max", ["model=max: unknown model"]),
        ("split.sed=1", ["split.sed: unknown key", "did you mean 'split.seed'?", "split.validation"]),
        ("split=1", ["split: holds several keys", "split.seed"]),
        ("plugin=abc", ["plugin: unknown key; it is an option of the command: --plugin PLUGIN"]),
        ("name=foo", ["name: unknown key; it is an option of the command: --name NAME"]),
        ("hydra.run.dir=x", ["hydra.run.dir: unknown key"]),
        ("hydra/launcher=x", ["hydra/launcher: unknown key"]),
        ("norm/groups=3", ["norm/groups: unknown key"]),
        # values
        ("lr=0", ["lr=0.0: must be a finite number above 0"]),
        ("lr=-0.1", ["lr=-0.1: must be"]),
        ("lr=abc", ["lr=abc: must be a finite number"]),
        ("lr=", ["lr='': must be a finite number"]),
        ("lr='1'", ["lr='1': must be a finite number"]),
        ("lr=true", ["lr=true: must be a finite number"]),
        ("lr=1,true", ["lr=true: must be a finite number"]),
        ("lr=nan", ["lr=nan: must be a finite number"]),
        ("lr=1e400", ["lr=inf: must be a finite number"]),
        (f"lr=1{'0' * 400}", ["must be a finite number"]),
        ("lr=[1,2]", ["lr=[1,2]: must be a finite number"]),
        ("lr=[1],[[2]]", ["lr=[1]: must", "lr=[[2]]: must"]),
        ("lr={a:1}", ["'lr={a:1}': groups of values"]),
        ("lr={a:1},{b:2}", ["groups of values"]),
        ("split={seed:1}", ["groups of values", "split.seed=1"]),
        ("lr=1e39", ["lr=1e+39: must be a finite number that float32 can hold, at most 3.4e38"]),
        ("norm.eps=1e39", ["norm.eps=1e+39: must be a finite number that float32 can hold"]),
        ("optim.weight_decay=1e300", ["optim.weight_decay=1e+300: must be a finite number that float32 can hold"]),
        ("grad_clip=inf", ["grad_clip=inf: must be a finite number such as 0.1 or null"]),
        ("seed=1.5", ["seed=1.5: must be a whole number"]),
        ("seed=1,true", ["seed=true: must be a whole number"]),
        ("seed=-1", ["seed=-1: must be at least 0"]),
        (f"seed={2**63}", ["seed=2^63 or more: must be a whole number below 2^63"]),
        ("drop_last=true,1", ["drop_last=1: must be true or false"]),
        ("precision=fp16", ["precision=fp16: not allowed", "Allowed: fp32, bf16, fp64"]),
        ("norm.affine=nope", ["norm.affine=nope: not allowed; did you mean 'none'?"]),
        ("schedule=step schedule.milestones=0.5", ["schedule.milestones=0.5: must be a list"]),
        ("schedule=step schedule.milestones=[0.5,true]", ["[0.5,true]: each item must be a finite number"]),
        (
            "probes=[landscap]",
            ["probes=[landscap]: landscap is not allowed; did you mean 'landscape'? Allowed: gradient"],
        ),
        ("probes=landscape", ["probes=landscape: must be a list such as [gradient_flow]"]),
        ("probes=[memory,shift,memory]", ["probes: memory is named more than once; name it once"]),
        ("probe_every=0", ["probe_every=0: must be at least 1"]),
        ("devices=0", ["devices=0: must be at least 1"]),
        ("devices=65", ["devices=65: must be at most 64"]),
        ("devices=two", ["devices=two: must be a whole number"]),
        ("devices=3 batch_size=32", ["devices=3 batch_size=32: each", "e.g. batch_size=30 or batch_size=33"]),
        ("devices=4 batch_size=3", ["devices=4 batch_size=3: each device takes an equal part", "e.g. batch_size=4"]),
        ("schedule=step schedule.milestones=[2]", ["schedule.milestones=2.0: must be from 0 to 1"]),
        ("optim.nesterov=true optim.momentum=0", ["optim.nesterov=true needs optim.momentum above 0"]),
        ("split.validation=1", ["split.validation=1.0: must be above 0 and below 1"]),
        # epochs and steps
        ("epochs=5 steps=100", ["epochs=5 steps=100: exactly one of them"]),
        ("epochs=null", ["epochs=null steps=null: exactly one of them"]),
        ("epochs=2 steps=10,null", ["epochs=2 steps=10: exactly one of them"]),
        # the device
        ("device=gpu", ["device=gpu: must be auto, cpu, cuda"]),
        ("device=null", ["device=null: must be auto"]),
        ("device=cpu,cuda", ["device=cpu,cuda: must be one device, as it is not swept; name it once"]),
        ("device=cpu device=cpu", ["device=cpu,cpu: must be one device"]),
        # grammar
        ("lr", ["'lr' is not an override", "Write key=value"]),
        ([""], ["'' is not an override"]),
        ("=", ["'=': no key"]),
        ("=1", ["'=1': no key"]),
        ("lr=1,,2", ["'lr=1,,2' is not an override: a value is missing at a comma; write lr=1,2"]),
        ("lr==1", ["is not an override"]),
        (["lr =1"], ["'lr =1' is not an override"]),
        (["lr=1\n"], [r"'lr=1\n' is not an override"]),
        ("lr=(1,2", ["is not an override"]),
        ("norm='batch", ["is not an override"]),
        ("norm=bätch", ["is not an override", "quotes around unusual characters"]),
        ("lr=foo(1)", ["Unknown function 'foo'"]),
        ("lr=range()", ["is not an override"]),
        ("lr=range(a)", ["is not an override"]),
        ("lr=choice()", ["empty choice"]),
        (f"lr={'9' * 5000}", ["is not an override"]),
        (f"lr={'[' * 3000}", ["is not an override"]),
        ("norm@x=batch", ["packages (@) are not used here; write norm=value"]),
        ("~norm", ["'~norm': ~ cannot take it away; write norm=value"]),
        ("~lr=3", ["'~lr=3': ~ cannot"]),
        ("~lr", ["lr=null: cannot be left out, with ~lr or null; must be a finite number such as 0.1"]),
        ("lr=${batch_size}", ["${...} is not looked up here"]),
        ("dataset=npz dataset.path=${oc.env:HOME}", ["${...} is not looked up here"]),
        ("dataset=npz dataset.path='${oc.env:HOME}'", ["${...} is not looked up here"]),
        ("schedule=step schedule.milestones=[${lr}]", ["${...} is not looked up here"]),
        # empty, endless and contradictory sweeps
        ("seed=range(0)", ["'seed=range(0)': an empty sweep"]),
        ("seed=range(3,1)", ["an empty sweep"]),
        ("seed=range(0,1,0)", ["a step other than 0"]),
        ("lr=range(0.1,1,0.0)", ["a step other than 0"]),
        ("lr=range(0,inf)", ["finite numbers"]),
        ("seed=range(1e10)", ["more than 100,000 values"]),
        ("seed=shuffle(range(10000000000))", ["more than 100,000 values"]),
        ("seed=range(1000) split.seed=range(1000)", ["1,000,000 cells; at most 100,000"]),
        ("lr=interval(0,1)", ["an interval has no values"]),
        ("lr=glob(*)", ["glob() needs a config group"]),
        ("norm.groups=glob(*)", ["glob() needs a config group"]),
        ("norm=glob(y*)", ["an empty sweep, no name matches", "Allowed: batch, "]),
        ("lr=1 lr=2", ["lr is set more than once", "lr=a,b"]),
    ],
)
def test_overrides(overrides, parts):
    (*found,) = problems(overrides)
    text = "\n".join(found)
    assert all(part in text for part in parts), text
    assert len(found) == (2 if overrides == "lr=[1],[[2]]" else 1)
    assert all(len(line) < 1000 for line in found)


@pytest.mark.parametrize(
    ("zips", "parts"),
    [
        (["lr=1,2 seed=0,1,2"], ["--zip: ", "equally many values; lr has 2, seed has 3"]),
        ([""], ["--zip no settings given"]),
        (["lr=1,2 lr=3,4"], ["lr is set more than once"]),
        (["lr=1,2 seed=0,1", "lr=1,2 epochs=4,8"], ["lr is set more than once"]),
        (["device=cpu,cuda seed=0,1"], ["--zip device: is not swept; give it as a setting of its own, once"]),
        (["lr=1,2 seed='0,1"], ["--zip ", "is not an override"]),
        (["lr=1,2 sed=0,1"], ["sed: unknown key", "did you mean 'seed'?"]),
        (["norm=grup,batch lr=1,2"], ["norm=grup: unknown norm"]),
        (["norm=grup,gruop lr=1,2"], ["norm=grup: unknown norm", "norm=gruop: unknown norm"]),
    ],
)
def test_zips(zips, parts):
    found = problems("norm.eps=1e-4", zips)
    assert all(part in "\n".join(found) for part in parts), found
    assert len(found) == sum("unknown norm" in part for part in parts) or len(found) == 1


def test_a_key_inside_and_outside_of_a_zip():
    assert "lr is set more than once" in problems("lr=1,2", ["lr=1,2 seed=0,1"])[0]


@pytest.mark.parametrize(
    ("excludes", "part"),
    [
        ([""], "--exclude no condition given"),
        (["norm=grup"], "--exclude norm=grup: unknown norm; did you mean 'group'?"),
        (["sed=1"], "--exclude sed: unknown key; did you mean 'seed'?"),
        (["norm.chunk=1"], "--exclude norm.chunk: no option 'chunk' in norm=batch, norm=group"),
        (["lr=true"], "--exclude lr=true: must be a finite number"),
        (["norm.groups=a"], "--exclude norm.groups=a: must be a whole number"),
        (["~seed"], "--exclude seed=null: must be a whole number"),
        (["device=cpu"], "--exclude device: is no part of a run; leave it out"),
        (["norm"], "--exclude 'norm' is not an override"),
        (["norm=batch,group"], "the sweep is empty: every run is excluded; take away an --exclude"),
        (["seed=0", "seed=1"], "the sweep is empty: every run is excluded; take away an --exclude"),
    ],
)
def test_excludes(excludes, part):
    (problem,) = problems("norm=batch,group seed=0,1", excludes=excludes)
    assert part in problem


def test_all_problems_at_once():
    request = compose_request(
        ["lr=0,abc", "batchsize=3", "norm=grup,batch", "device=gpu", "norm.foo=1", "x", "momentum=${y}"],
        components(),
        ["seed=0,-1 epochs=1,2,3"],
        ["quux=1"],
    )
    expected = (
        "lr=0.0", "lr=abc", "batchsize", "norm=grup", "device=gpu", "norm.foo: no option 'foo' in any norm",
        "'x'", "'momentum=${y}'", "--zip: ", "seed=-1", "--exclude quux",
    )  # fmt: skip
    assert all(any(problem.startswith(start) for problem in request.problems) for start in expected), request.problems
    assert len(request.problems) == len(expected)
    assert request.device == "auto"


def test_specs_that_can_be_tried_are_returned_for_further_checks():
    request = compose_request(["lr=0,1,abc", "batch_size=-1,8", "split.validation=0.1,2"], components())
    assert [(spec.lr, spec.batch_size, spec.split.validation) for spec in request.specs] == [
        (0.0, 8, 0.1),
        (1.0, 8, 0.1),
    ]
    assert {problem.split(":")[0] for problem in request.problems} == {
        "lr=abc", "lr=0.0", "batch_size=-1", "split.validation=2.0"
    }  # fmt: skip


def test_one_value_is_reported_once():
    assert len(problems("lr=abc seed=range(100) norm=batch,group")) == 1
