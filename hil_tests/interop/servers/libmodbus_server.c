/* A Modbus slave on libmodbus: holding registers 0..399 hold 1000 + address, registers 10 and 11 the float
 * 43.25 high word first, coils 0..63 are set at every third address. Addresses above are refused by libmodbus.
 * Usage: libmodbus_server tcp UNIT   (prints its port)
 *        libmodbus_server rtu UNIT TTY BAUD
 */
#include <errno.h>
#include <modbus.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void fill(modbus_mapping_t *map)
{
    for (int n = 0; n < 400; n++) {
        map->tab_registers[n] = 1000 + n;
        map->tab_input_registers[n] = 2000 + n;
    }
    map->tab_registers[10] = 0x422D; /* 43.25 as IEEE 754, word by word: the library's float helpers are avoided */
    map->tab_registers[11] = 0x0000;
    for (int n = 0; n < 64; n++) {
        map->tab_bits[n] = n % 3 == 0;
        map->tab_input_bits[n] = n % 2 == 0;
    }
}

static void serve(modbus_t *bus, modbus_mapping_t *map)
{
    uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
    for (;;) {
        int length = modbus_receive(bus, query);
        if (length > 0)
            modbus_reply(bus, query, length, map);
        else if (length < 0 && errno != EMBBADCRC && errno != ETIMEDOUT)
            return;
    }
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    modbus_mapping_t *map = modbus_mapping_new(64, 64, 400, 400);
    fill(map);
    if (strcmp(argv[1], "rtu") == 0) {
        modbus_t *bus = modbus_new_rtu(argv[3], atoi(argv[4]), 'N', 8, 1);
        modbus_set_slave(bus, atoi(argv[2]));
        if (modbus_connect(bus) < 0)
            return 1;
        puts("ready");
        fflush(stdout);
        serve(bus, map);
        return 1; /* the line went away */
    }
    modbus_t *bus = modbus_new_tcp("127.0.0.1", 0);
    modbus_set_slave(bus, atoi(argv[2]));
    int listening = modbus_tcp_listen(bus, 4);
    struct sockaddr_in name;
    socklen_t size = sizeof name;
    if (listening < 0 || getsockname(listening, (struct sockaddr *) &name, &size) < 0)
        return 1;
    printf("%d\n", ntohs(name.sin_port));
    fflush(stdout);
    for (;;) {
        if (modbus_tcp_accept(bus, &listening) < 0)
            return 1;
        serve(bus, map);
        modbus_close(bus);
    }
}
