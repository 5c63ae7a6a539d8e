"""A Modbus TCP server on pyModbusTCP; the values of libmodbus_server.c. Runs in the peers' environment."""

import time

from pyModbusTCP.server import DataBank, ModbusServer

bank = DataBank(coils_size=64, d_inputs_size=64, h_regs_size=400, i_regs_size=400)
bank.set_holding_registers(0, [1000 + n for n in range(400)])
bank.set_holding_registers(10, [0x422D, 0x0000])
bank.set_input_registers(0, [2000 + n for n in range(400)])
bank.set_coils(0, [n % 3 == 0 for n in range(64)])
bank.set_discrete_inputs(0, [n % 2 == 0 for n in range(64)])
server = ModbusServer("127.0.0.1", 0, no_block=True, data_bank=bank)
server.start()
print(server._service.server_address[1], flush=True)
while True:
    time.sleep(3600)
