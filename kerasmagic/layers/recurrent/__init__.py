"""Recurrent layers: cells, the walk over time, and the wrappers around it."""

from kerasmagic.layers.recurrent.bidirectional import Bidirectional as Bidirectional
from kerasmagic.layers.recurrent.conv_lstm import ConvLSTM1D as ConvLSTM1D
from kerasmagic.layers.recurrent.conv_lstm import ConvLSTM2D as ConvLSTM2D
from kerasmagic.layers.recurrent.conv_lstm import ConvLSTM3D as ConvLSTM3D
from kerasmagic.layers.recurrent.gru import GRU as GRU
from kerasmagic.layers.recurrent.gru import GRUCell as GRUCell
from kerasmagic.layers.recurrent.lstm import LSTM as LSTM
from kerasmagic.layers.recurrent.lstm import LSTMCell as LSTMCell
from kerasmagic.layers.recurrent.rnn import RNN as RNN
from kerasmagic.layers.recurrent.simple import SimpleRNN as SimpleRNN
from kerasmagic.layers.recurrent.simple import SimpleRNNCell as SimpleRNNCell
from kerasmagic.layers.recurrent.stacked import StackedRNNCells as StackedRNNCells
from kerasmagic.layers.recurrent.time_distributed import TimeDistributed as TimeDistributed
