"""How every function of Chainer becomes IR, one module per family of Chainer's own."""

from webconv.frontends.chainer.functions import (  # noqa: F401  (each fills the table)
    activation,
    array,
    connection,
    distributions,
    errors,
    indexing,
    joining,
    masks,
    math,
    n_step,
    normalization,
    padding,
    pooling,
    products,
    reductions,
    regions,
    rnn,
    special,
)
