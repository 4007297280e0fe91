from kerasmagic.widgets.terminal import TerminalSink as TerminalSink
